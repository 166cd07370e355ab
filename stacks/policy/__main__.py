"""The pack as the engine starts it: every rule looks at the whole graph of a stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pulumi_policy import EnforcementLevel, PolicyPack, ReportViolation, StackValidationArgs, StackValidationPolicy

from stacks.policy import rules
from stacks.provider import resources


def graph(args: StackValidationArgs) -> rules.Graph:
    """The stack as values; outputs that are not known yet belong to none of them."""
    found: dict[str, list[resources.Thing]] = {kind: [] for kind in resources.KINDS}
    for each in args.resources:
        if each.resource_type.startswith(f"{resources.PACKAGE}:index:"):
            kind = resources.kind_of(each.resource_type)
            names = resources.KINDS[kind].__struct_fields__
            found[kind].append(
                resources.thing(kind, {name: _plain(each.props[name]) for name in names if name in each.props})
            )
    return rules.Graph(tuple(found["Host"]), tuple(found["Segment"]), tuple(found["Link"]))  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    """A value without the proxies that tell of unknown ones."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def judge(rule: rules.Rule) -> Callable[[StackValidationArgs, ReportViolation], None]:
    """The rule as the engine asks it."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        seen = graph(args)
        urns = {str(each.props.get("name") or each.props.get("id")): each.urn for each in args.resources}
        for finding in rule.judge(seen):
            report(rule.message(finding), urns.get(finding[0]))

    return validate


PolicyPack(
    "jinbao",
    [
        StackValidationPolicy(rule.id, f"{rule.text} ({rule.clause})", judge(rule), EnforcementLevel.MANDATORY)
        for rule in rules.RULES
    ],
)
