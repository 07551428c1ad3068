"""RulesError ─┬─ DurationError      a text that is not a duration
            └─ StateError         bytes that are not a state this version can read

Documents never raise while they are checked: `parse` and `cross_check` return Problems. RulesError is raised by
`compile_rulebook` alone, with the same Problems, when a document that was never checked is compiled.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.problems import Problem


class RulesError(Exception):
    def __init__(self, message: str, problems: Sequence["Problem"] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)


class DurationError(RulesError):
    pass


class StateError(RulesError):
    pass
