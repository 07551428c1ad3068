"""The engine: rule documents, conditions, time, decisions. Pure: no I/O, no clock, no randomness."""

from rules.apply import MESSAGE_FAILED, SERVICE
from rules.backtest import Backtest, RuleTest
from rules.check import check_document, cross_check, cross_doubts, lost_references, parse, parse_article, shape_of
from rules.decide import decide
from rules.dialect import EvaluationError
from rules.documents import Article, ArticleContent, Definitions, Message, Privacy, Project, Rule, Segment, Theme
from rules.duration import format_duration, parse_duration
from rules.errors import DurationError, RulesError, StateError
from rules.evaluate import evaluate, read_pair, read_value
from rules.event import SERVER, SIGNED, UNPROVEN, Event
from rules.explain import LANGUAGES, Explanation, Language, explain
from rules.ids import delivery_id, delivery_shard_hash, hash16
from rules.merge import FORGOTTEN, LINKED, MERGED, Gift, Link
from rules.observed import Observed, doubt
from rules.outcome import Considered, Delivery, Outcome
from rules.problems import Problem
from rules.rulebook import Rulebook, compile_rulebook
from rules.schema import KINDS, document_schema
from rules.shape import in_words
from rules.state import State, decode_state, encode_state, new_state
from rules.tally import summary as tally_summary
from rules.theme import style_sheet
from rules.trial import Trial, trial_rulebook, try_case

__all__ = [
    "FORGOTTEN",
    "KINDS",
    "LANGUAGES",
    "LINKED",
    "MERGED",
    "MESSAGE_FAILED",
    "SERVER",
    "SERVICE",
    "SIGNED",
    "UNPROVEN",
    "Article",
    "ArticleContent",
    "Backtest",
    "Considered",
    "Definitions",
    "Delivery",
    "DurationError",
    "EvaluationError",
    "Event",
    "Explanation",
    "Gift",
    "Language",
    "Link",
    "Message",
    "Observed",
    "Outcome",
    "Privacy",
    "Problem",
    "Project",
    "Rule",
    "RuleTest",
    "Rulebook",
    "RulesError",
    "Segment",
    "State",
    "StateError",
    "Theme",
    "Trial",
    "check_document",
    "compile_rulebook",
    "cross_check",
    "cross_doubts",
    "decide",
    "decode_state",
    "delivery_id",
    "delivery_shard_hash",
    "document_schema",
    "doubt",
    "encode_state",
    "evaluate",
    "explain",
    "format_duration",
    "hash16",
    "in_words",
    "lost_references",
    "new_state",
    "parse",
    "parse_article",
    "parse_duration",
    "read_pair",
    "read_value",
    "shape_of",
    "style_sheet",
    "tally_summary",
    "trial_rulebook",
    "try_case",
]
