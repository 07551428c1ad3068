"""`engage rules push | pull | rollback | versions | stats`: the commands that talk to a running service about what it publishes."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from engage.console import check_format, print_json, warn_of_unknown_settings
from engage.errors import ConfigurationError, NotFound
from engage.later import Later
from engage.settings import load_settings
from rules.problems import nearest

if TYPE_CHECKING:
    from engage import differing, pushing, remote, standing
else:
    differing, pushing = Later("engage.differing"), Later("engage.pushing")
    remote, standing = Later("engage.remote"), Later("engage.standing")

REFUSED: Final = 2
SAID_NO: Final = 1

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
Format = Annotated[str, typer.Option("--format", help="text or json.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Data folder (ENGAGE_DATA_DIR) to read the secret key from, where ENGAGE_SECRET_KEY is not set."
    ),
]


def add_commands(rules: typer.Typer) -> None:
    for command in (push, pull, rollback, versions, stats):
        rules.command()(command)


def push(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders of documents.")],
    prune: Annotated[bool, typer.Option("--prune", help="Also take away what is live and has no file.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    format: Format = "text",
    data: Data = None,
) -> None:
    """Publish files to the running service, all or nothing: checks them, shows what changes, and asks.

    Needs ENGAGE_URL and ENGAGE_SECRET_KEY (on the service's machine its data folder is enough). Exit status: 0 done or nothing to
    change, 1 you said no, 2 refused.
    """
    check_format(format)
    with _service(data) as service:
        plan = pushing.plan_push(service, paths, prune)
        question = f"Publish this over version {plan.base}?"
        _publish(plan, lambda: pushing.push(service, plan), question, dry_run, yes, format)


def rollback(
    version: Annotated[
        int | None, typer.Argument(help="The version to go back to. Left out: the one before.", min=1)
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    format: Format = "text",
    data: Data = None,
) -> None:
    """Publish what an earlier version held, whole, as a new version: shows what changes, and asks. `engage rules versions` lists them.

    Exit status: 0 done or nothing to change, 1 you said no, 2 refused.
    """
    check_format(format)
    with _service(data) as service:
        plan = pushing.plan_rollback(service, version)
        question = f"Go back from version {plan.base} to {plan.version}?"
        _publish(plan, lambda: pushing.roll_back(service, plan), question, dry_run, yes, format)


def pull(
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="The folder to write to: rules/, messages/, … in it.")],
    version: Annotated[
        int | None, typer.Option("--version", help="What that version held. Left out: what is live.", min=1)
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Also remove files whose document is not live.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    format: Format = "text",
    data: Data = None,
) -> None:
    """Write the live documents into files, as they were pushed: shows what it would write over, and asks.

    Exit status: 0 done or nothing to change, 1 you said no, 2 refused.
    """
    check_format(format)
    with _service(data) as service:
        plan = pushing.plan_pull(service, folder, version, prune)
    if format == "text":
        for change in plan.changes:
            for line in (
                differing.as_markdown([change]) if change.what == "changed" else [f"{change.what} {change.file}"]
            ):
                typer.echo(line)
    typer.echo(f"{folder}, as in version {plan.base}: {plan.summary}", err=True)
    if plan.changes and not dry_run:
        _ask(yes or not plan.loses, f"Write this into {folder}?")
        pushing.pull(folder, plan)
    if format == "json":
        written = bool(plan.changes) and not dry_run
        print_json({"version": plan.base, "written": written, "changes": plan.changes})


def versions(
    document: Annotated[
        str | None,
        typer.Argument(help="A rule's id, or messages/ID, segments/ID, articles/ID. Left out: all rulebooks."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, the newest first.", min=1, max=200)] = 20,
    format: Format = "text",
    data: Data = None,
) -> None:
    """List what was published: when, by whom, and what changed; or the versions of one document."""
    check_format(format)
    with _service(data) as service:
        found = pushing.list_versions(service, document, limit)
    if format == "json":
        print_json(found)
        return
    for line in pushing.told(found):
        typer.echo(line)


def stats(
    rule: Annotated[str | None, typer.Argument(help="A rule's id. Left out: all that have matched.")] = None,
    format: Format = "text",
    data: Data = None,
) -> None:
    """Say what became of each rule's matches, and how its experiment stands."""
    check_format(format)
    with _service(data) as service:
        found: dict[str, Any] = service.get("/api/stats", dict[str, Any])["rules"]
        if rule is not None:
            known = [one["id"] for one in service.get("/api/rules", dict[str, Any])["rules"]]
            if rule not in known and rule not in found:
                raise NotFound(f"the id of a rule{nearest(rule, known)}", rule, field="RULE")
            found = {name: told for name, told in found.items() if name == rule}
    if format == "json":
        print_json(found)
        return
    for line in standing.table(found):
        typer.echo(line)


@contextmanager
def _service(data: Path | None) -> "Iterator[remote.Remote]":
    umask = os.umask(0o077)  # while keys may be made; files of documents are everybody's
    try:
        settings = load_settings(data_dir=None if data is None else str(data))
        service = remote.find_service(settings)
    finally:
        os.umask(umask)
    warn_of_unknown_settings()
    with closing(service):
        yield service


def _publish(
    plan: "pushing.Plan", publish: Callable[[], int], question: str, dry_run: bool, yes: bool, format: str
) -> None:
    """Shows what would change, asks, and does it."""
    version = None
    if plan.errors:
        _refuse(plan, format)
    _show(plan, format)
    if plan.changes and not dry_run:
        _check_folder(plan)
        _ask(yes, question)
        try:
            version = publish()
        except remote.Refused as refused:
            if not refused.problems:
                raise
            plan.problems = refused.problems
            _refuse(plan, format)
    if format == "json":
        _print_published(plan, version)
    elif version is not None:
        typer.echo(f"version {version} is live now")


def _show(plan: "pushing.Plan", format: str) -> None:
    for problem in plan.problems:
        typer.echo(str(problem), err=True)
    if format == "text" and plan.changes:
        for line in differing.as_markdown(plan.changes):
            typer.echo(line)
    live = f"version {plan.base} is live" if plan.base else "nothing is live yet"
    typer.echo(f"{live}: {plan.summary}", err=True)


def _check_folder(plan: "pushing.Plan") -> None:
    """Raises ConfigurationError where the service publishes a folder of its own."""
    if plan.folder is not None:
        raise ConfigurationError(
            "a service that takes its documents from what is pushed",
            f"one that publishes the folder {plan.folder} and would write over it",
            field="ENGAGE_RULES_DIR",
            hint="change the files there (`engage rules pull --version` writes older ones), or start the service without --rules",
        )


def _ask(yes: bool, question: str) -> None:
    """Goes on only with a yes. Raises ConfigurationError where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("a terminal to ask on, or --yes", "neither", hint="nothing was changed")
    if not typer.confirm(question, err=True):
        typer.echo("nothing was changed", err=True)
        raise typer.Exit(SAID_NO)


def _refuse(plan: "pushing.Plan", format: str) -> NoReturn:
    """Ends with what is wrong with the documents."""
    for problem in plan.problems:
        typer.echo(str(problem), err=True)
    typer.echo(f"nothing was published: {len(plan.errors)} errors", err=True)
    if format == "json":
        _print_published(plan, None)
    raise typer.Exit(REFUSED)


def _print_published(plan: "pushing.Plan", version: int | None) -> None:
    """`version`: the new one, null where nothing was published."""
    print_json({"base": plan.base, "version": version, "changes": plan.changes, "problems": plan.problems})
