"""The command line: `engage up | serve | decide | work | rules … | identity … | keys | audit | doctor`."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from engage import __version__, backtesting, differing, doctor, explaining, up
from engage.checking import check_against, check_paths, observe
from engage.console import check_format, print_json, warn_of_unknown_settings
from engage.errors import ConfigurationError, EngageError
from engage.evaluating import evaluate_arguments, evaluate_stream
from engage.identity_cli import identity
from engage.keys_cli import audit, keys
from engage.logs import configure_logging
from engage.privacy_cli import hash_
from engage.projects import FIRST
from engage.publishing_cli import add_commands
from engage.rulebooks import live_definitions
from engage.settings import Settings, environment_of, load_settings
from engage.site_check import WIDTH, CheckedSite, check_site, site_of
from engage.store import STORE_ERRORS, connect
from engage.testing import report, run_tests
from rules import KINDS, DurationError, document_schema, parse_duration
from rules.problems import nearest

cli = typer.Typer(
    name="engage",
    help="Proactive in-product engagement.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
rules = typer.Typer(name="rules", help="Rules, messages, segments and articles.", no_args_is_help=True)
cli.add_typer(rules)
cli.add_typer(identity)
cli.add_typer(keys)
cli.command("audit")(audit)
cli.command("hash")(hash_)

Host = Annotated[str | None, typer.Option("--host", help="Address to listen on (ENGAGE_HOST).")]
Port = Annotated[int | None, typer.Option("--port", help="Port to listen on (ENGAGE_PORT).")]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder (ENGAGE_DATA_DIR).")]
Rules = Annotated[Path | None, typer.Option("--rules", help="Folder with rules/, messages/, … (ENGAGE_RULES_DIR).")]


@cli.command("up")
def up_(host: Host = None, port: Port = None, data: Data = None, rules: Rules = None) -> None:
    """Run everything on this machine: stores, service, decider, worker, and the watcher of --rules."""
    settings = _settings(host=host, port=port, data_dir=data, rules_dir=rules)
    if settings.rules_dir is not None and settings.rules_dir.exists() and not settings.rules_dir.is_dir():
        raise ConfigurationError("a folder", str(settings.rules_dir), field="--rules")
    raise typer.Exit(up.run(settings))


@cli.command()
def serve(host: Host = None, port: Port = None, data: Data = None) -> None:
    """Run one API process (needs the store: ENGAGE_REDIS_URL, or a running `engage up`)."""
    _become("engage.serve", settings=_settings(host=host, port=port, data_dir=data))


@cli.command()
def decide(data: Data = None) -> None:
    """Run one decider process; any number share the shards."""
    _become("worker", "decide", settings=_settings(data_dir=data))


@cli.command()
def work(
    backtests: Annotated[
        bool, typer.Option("--backtests", help="Run the back-tests that the API was asked for instead.")
    ] = False,
    data: Data = None,
) -> None:
    """Run one RQ worker that delivers."""
    _become("worker", "backtest" if backtests else "work", settings=_settings(data_dir=data))


@cli.command("doctor")
def doctor_(data: Data = None, port: Port = None, rules: Rules = None) -> None:
    """Say what is missing on this machine, and how to mend it."""
    findings = doctor.examine(_settings(data_dir=data, port=port, rules_dir=rules))
    for line in doctor.lines(findings):
        typer.echo(line)
    raise typer.Exit(doctor.status(findings))


@rules.command("check")
def check(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.")],
    log: Annotated[
        bool, typer.Option("--log", help="Also against what the log has really seen (needs the store).")
    ] = False,
    retention: Annotated[
        str | None, typer.Option("--retention", help="How long the log is kept, as 7d; left out: ENGAGE_LOG_RETENTION.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Also whether the targets of messages are on this running site.")
    ] = None,
    page: Annotated[
        list[str] | None,
        typer.Option("--page", help="With --url: a page that stands for a glob, as '/projects/*=/projects/1'."),
    ] = None,
    storage_state: Annotated[
        Path | None, typer.Option("--storage-state", help="With --url: signed in, by this file of Playwright.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", help="With --url: 'NAME: VALUE', sent to the site.")
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", help="With --url: how long each target may take; left out: its own, or 5s."),
    ] = None,
    width: Annotated[
        int | None, typer.Option("--width", help=f"With --url: of the window, {WIDTH} pixels if left out.")
    ] = None,
    locale: Annotated[
        list[str] | None, typer.Option("--locale", help="With --url: only content of this locale.")
    ] = None,
    format: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    data: Data = None,
) -> None:
    """Report every problem of the documents at once; exit status 1 when one is an error.

    --page, --header and --locale may be given more than once.
    """
    check_format(format)
    site = None
    if url is not None:
        patience = None if timeout is None else _duration(timeout, "--timeout")
        site = site_of(
            url, page or (), header or (), storage_state, patience, WIDTH if width is None else width, locale or ()
        )
    elif any(given is not None for given in (page, storage_state, header, timeout, width, locale)):
        raise typer.BadParameter(
            "expected the address of a running site beside the options that are about it", param_hint="--url"
        )
    settings = _settings(data_dir=data, log_retention_ms=retention)
    checked = check_paths(paths, settings.log_retention_ms)
    if log:
        with _store(settings) as client:
            observed, span = observe(client, FIRST, settings.shards)
        typer.echo(f"beside a log of {observed.events:,} events in {span}", err=True)
        checked = check_against(checked, paths, observed, span)
    if site is not None:
        checked = check_site(checked, paths, site)
    if format == "json":
        print_json(checked)
    else:
        for problem in checked.problems:
            if problem.severity != "note":
                typer.echo(str(problem))
        if checked.noted:
            typer.echo(checked.noted, err=True)
        if isinstance(checked, CheckedSite):
            _show_site(checked)
        typer.echo(checked.summary, err=bool(checked.errors))
    raise typer.Exit(1 if checked.errors else 0)


@rules.command("test")
def run_tests_(
    paths: Annotated[list[Path], typer.Argument(help="Rule files, or folders of them.")],
    alone: Annotated[bool, typer.Option("--alone", help="Each rule without the others of its folder.")] = False,
    format: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Run the tests inside rules. Exit status: 0 all passed, 1 some failed, 2 a document is broken, 5 there are none."""
    check_format(format)
    tested = run_tests(paths, alone)
    if format == "json":
        print_json(tested)
    else:
        for line in report(tested):
            typer.echo(line)
    raise typer.Exit(tested.status)


@rules.command("eval")
def eval_(
    condition: Annotated[str, typer.Argument(help="JSONLogic: JSON text, or @FILE; or - for lines on standard input.")],
    data: Annotated[str | None, typer.Argument(help="The data it reads: JSON text, or @FILE. Left out: null.")] = None,
) -> None:
    """Evaluate one condition on one data document, and print its result as JSON; exit status 2 when it has none.

    With -, each line {"rule": …, "data": …} of standard input is answered by a line {"result": …} or {"error": "…"}, in order.
    """
    if condition == "-":
        if data is not None:
            raise typer.BadParameter("with `-` the data stands in the lines", param_hint="DATA")
        evaluate_stream(sys.stdin.buffer, sys.stdout.buffer)
        return
    typer.echo(evaluate_arguments(condition, "null" if data is None else data))


@rules.command("backtest")
def backtest_(
    rule: Annotated[
        str | None, typer.Argument(help="A rule file, or the id of a live rule; with --all a folder.")
    ] = None,
    last: Annotated[str, typer.Option("--last", help="How far back: a duration such as 7d or 12h.")] = "7d",
    every: Annotated[
        bool, typer.Option("--all", help="All rules together: those of a folder, or the live ones.")
    ] = False,
    format: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    data: Data = None,
) -> None:
    """Replay the log with a draft in place: who would have got it, when, how often. Changes nothing; exit status 2 for broken documents.

    Needs the store: a running `engage up`, or ENGAGE_REDIS_URL.
    """
    check_format(format)
    window = _duration(last, "--last")
    settings = _settings(data_dir=data)
    with _store(settings) as client, _progress() as progress:
        plan = backtesting.plan_of(rule, every, live_definitions(client, FIRST))
        found = backtesting.backtest(client, FIRST, settings.shards, plan, window, progress)
    if format == "json":
        print_json(backtesting.as_document(found, every))
        return
    for line in backtesting.report(found, window):
        typer.echo(line)


@rules.command("diff")
def diff(
    old: Annotated[str, typer.Argument(help="A folder of definitions, or `live`.")],
    new: Annotated[str, typer.Argument(help="A folder of definitions, or `live`.")],
    impact: Annotated[
        bool, typer.Option("--impact", help="Also reach, caps and collisions, by a replay of the log.")
    ] = False,
    last: Annotated[str, typer.Option("--last", help="How far back: a duration such as 7d or 12h.")] = "7d",
    data: Data = None,
) -> None:
    """Say what two sets of definitions differ in, as Markdown fit for a review comment. Changes nothing.

    `live` and --impact need the store: a running `engage up`, or ENGAGE_REDIS_URL.
    """
    window = _duration(last, "--last")
    if not impact and differing.LIVE not in (old, new):
        for line in differing.differences(*(differing.definitions_of(name, None) for name in (old, new))):
            typer.echo(line)
        return
    settings = _settings(data_dir=data)
    with _store(settings) as client:
        _, live = live_definitions(client, FIRST)
        before, after = (differing.definitions_of(name, live) for name in (old, new))
        lines = list(differing.differences(before, after))
        if impact:
            with _progress() as progress:
                lines += ["", *differing.impact(client, FIRST, settings.shards, before, after, window, progress)]
    for line in lines:
        typer.echo(line)


@rules.command("explain")
def explain_(
    user: Annotated[str, typer.Argument(help="A userId, or an anonymousId.")],
    rule: Annotated[str, typer.Argument(help="The id of a live rule.")],
    at: Annotated[
        str | None, typer.Option("--at", help="The last moment until this time (ISO 8601). Left out: the last one.")
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="en or ja.")] = "en",
    format: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    data: Data = None,
) -> None:
    """Say why a person got the message of a rule, or did not: each clause with its value, the limits, the timer it waits for.

    Needs the store: a running `engage up`, or ENGAGE_REDIS_URL.
    """
    check_format(format)
    moment = explaining.moment_of(at)
    settings = _settings(data_dir=data)
    with _store(settings) as client:
        _, definitions = live_definitions(client, FIRST)
        found = explaining.explain_user(client, FIRST, settings.shards, definitions, user, rule, moment, lang)
    if format == "json":
        print_json(found)
        return
    for line in explaining.report(found):
        typer.echo(line)


@rules.command("schema")
def schema(
    kind: Annotated[str | None, typer.Argument(help="rule, message or segment. Left out: all, by kind.")] = None,
) -> None:
    """Print the JSON Schema of the documents: what lets an editor complete and check them."""
    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"expected {', '.join(KINDS)}, got {kind}{nearest(kind, KINDS)}", param_hint="KIND")
    shown = document_schema(kind) if kind else {name: document_schema(name) for name in KINDS}
    print_json(shown)


add_commands(rules)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"engage {__version__}")
        raise typer.Exit


@cli.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Proactive in-product engagement: watch what people do, show each the one thing that helps."""


def _show_site(checked: CheckedSite) -> None:
    for target in checked.targets:
        if target.state == "found":
            typer.echo(str(target))
    for glob in checked.unused:
        typer.echo(f"engage: warning: --page gives `{glob}` a page, and none of these messages names it", err=True)
    typer.echo(checked.tried, err=bool(checked.errors))


@contextmanager
def _store(settings: Settings) -> Iterator[Any]:
    """A client of the store. Raises ConfigurationError when it does not answer."""
    try:
        with closing(connect(settings.redis_url)) as client:
            yield client
    except STORE_ERRORS as error:
        hint = "start `engage up`, or set ENGAGE_REDIS_URL, or --data"
        raise ConfigurationError("a store that answers", str(error), field="ENGAGE_REDIS_URL", hint=hint) from error


@contextmanager
def _progress() -> Iterator[backtesting.Progress]:
    """A bar on standard error, where a person looks at it; what it gives is told the share that is done."""
    with typer.progressbar(length=1_000, label="replaying", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def progress(share: float) -> None:
            bar.update(max(0, int(share * 1_000) - bar.pos))

        yield progress


def _duration(text: str, option: str) -> int:
    try:
        length = parse_duration(text)
    except DurationError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    if length == 0:
        raise typer.BadParameter("expected a duration longer than nothing", param_hint=option)
    return length


def _settings(**given: Any) -> Settings:
    os.umask(0o077)  # keys, and what people did: for this user alone
    texts = {name: None if value is None else str(value) for name, value in given.items()}
    settings = load_settings(**texts)
    configure_logging(settings)
    warn_of_unknown_settings()
    return settings


def _become(module: str, *arguments: str, settings: Settings) -> NoReturn:
    """Turns into that process: the command line needs none of what it imports, and may not import the worker."""
    os.execve(sys.executable, [sys.executable, "-P", "-m", module, *arguments], environment_of(settings))


def main() -> None:
    """The console script. Our errors are said in one line, without a traceback, and exit with 2."""
    try:
        cli()
    except EngageError as error:
        typer.echo(f"engage: {error.message}", err=True)
        if error.hint:
            typer.echo(f"  → {error.hint}", err=True)
        sys.exit(2)
