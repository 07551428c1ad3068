"""For locust's own page: `locust -f loadtests/locustfile.py --host https://engage.example.com`, with any number of people.

The scenarios with a shape of their own (a day, a launch, a herd, a hostile hour) are in `loadtests/scenarios/`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # `locust -f` alone knows this folder, not the project's

import loadtests.scenarios.run  # says at the end what was promised and what was kept
from loadtests.people import DemoCustomer, Person

__all__ = ["DemoCustomer", "Person", "loadtests"]
