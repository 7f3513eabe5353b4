"""The semantics of residency, one test each under its number; those of the running gateway are tested with the gateway."""

from dataclasses import replace
from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import ConfigError, InvalidRequest
from freehold.core.findings import Channel, Context, Finding, Mode
from freehold.core.ports import Placement, Residency
from freehold.guard.jurisdictions import day_ns
from freehold.guard.labels import Label, raises, with_below
from freehold.guard.residency import ENGINE, LabelPolicy, Unrestricted, make_residency, policy_of
from freehold.guard.residency_config import LabelRuleConfig, ResidencyConfig, SiteConfig
from tests.fakes import ledger

NOW_NS = day_ns("2026-11-23")
BERLIN = SiteConfig(
    region="eu-central-1",
    jurisdiction="DE",
    operator="Beispiel GmbH",
    parent_jurisdiction="DE",
    us_presence=False,
    transfer_basis="eea",
    retention_days=0,
    trains_on_data=False,
    attested_at=date(2026, 1, 1),
    expires_at=date(2026, 12, 31),
)
FRANKFURT_US = msgspec.structs.replace(BERLIN, operator="Example Inc", parent_jurisdiction="US", us_presence=True)
OREGON = msgspec.structs.replace(FRANKFURT_US, region="us-west-2", jurisdiction="US", transfer_basis="scc", retention_days=30)
OREGON_DPF = msgspec.structs.replace(OREGON, transfer_basis="dpf_certified")
LONDON = msgspec.structs.replace(
    BERLIN, region="uk-south", jurisdiction="GB", parent_jurisdiction="GB", transfer_basis="adequacy", expires_at=date(2035, 1, 1)
)
SITES = {"berlin": BERLIN, "frankfurt": FRANKFURT_US, "oregon": OREGON, "oregon-dpf": OREGON_DPF, "london": LONDON}
ALL = (ENGINE, *SITES)
NOBODY = Context()
EVERYWHERE = LabelRuleConfig(allowed=["*"])
EU_ONLY = LabelRuleConfig(allowed=["EU"])
EMAIL = ledger.finding(rule="email", category="personal_data", start=0, end=5, confidence=0.9, mode=Mode.SHADOW)


def policy(sites: dict[str, SiteConfig] = SITES, **rules: LabelRuleConfig) -> LabelPolicy:
    labels = {Label(name): rule for name, rule in ({"internal": EVERYWHERE} | rules).items()}
    return LabelPolicy(ResidencyConfig(labels=labels, upstreams=sites))


def place(
    residency: Residency,
    *claimed: str,
    findings: tuple[Finding, ...] = (),
    context: Context = NOBODY,
    at_ns: int = NOW_NS,
    upstreams: tuple[str, ...] = ALL,
) -> Placement:
    return residency.place(context, claimed, findings, upstreams, at_ns)


def allowed(residency: Residency, *claimed: str, **more: object) -> tuple[str, ...]:
    return place(residency, *claimed, **more).allowed  # type: ignore[arg-type]


def reasons(placement: Placement, upstream: str) -> tuple[str, ...]:
    return next(one.reasons for one in placement.rejected if one.upstream == upstream)


def test_1_a_label_without_a_rule_is_denied_everywhere() -> None:
    placement = place(policy(), "personal")
    assert placement.allowed == ()
    assert all(one.reasons == ("no_rule_for_personal",) for one in placement.rejected)
    assert allowed(LabelPolicy(ResidencyConfig())) == ()


def test_2_what_is_unknown_or_no_longer_attested_is_denied() -> None:
    sites = {
        "unknown-region": msgspec.structs.replace(BERLIN, region=None),
        "unknown-country": msgspec.structs.replace(BERLIN, jurisdiction=None),
        "expired": msgspec.structs.replace(BERLIN, expires_at=date(2026, 11, 22)),
        "last-day": msgspec.structs.replace(BERLIN, expires_at=date(2026, 11, 23)),
        "tomorrow": msgspec.structs.replace(BERLIN, attested_at=date(2026, 11, 24)),
        "never": msgspec.structs.replace(BERLIN, attested_at=None),
    }
    placement = place(policy(sites), upstreams=(*sites, "nobody-attested"))
    assert placement.allowed == ("last-day",)
    assert reasons(placement, "unknown-region") == ("region_unknown",)
    assert "jurisdiction_unknown" in reasons(placement, "unknown-country")
    assert reasons(placement, "expired") == ("attestation_expired",)
    assert reasons(placement, "tomorrow") == ("not_attested_yet",)
    assert reasons(placement, "never") == ("not_attested_yet",)
    assert "nothing_attested" in reasons(placement, "nobody-attested")


def test_2_what_a_rule_asks_for_and_nobody_said_is_denied() -> None:
    bare = SiteConfig(region="eu", jurisdiction="DE", attested_at=date(2026, 1, 1))
    rules = {
        "allowed_parents": LabelRuleConfig(allowed=["EU"], allowed_parents=["EU"]),
        "bases": LabelRuleConfig(allowed=["EU"], bases=["eea"]),
        "no_cloud_act_exposure": LabelRuleConfig(allowed=["EU"], no_cloud_act_exposure=True),
        "max_retention_days": LabelRuleConfig(allowed=["EU"], max_retention_days=9999),
        "no_training": LabelRuleConfig(allowed=["EU"], no_training=True),
    }
    assert allowed(policy({"bare": bare}, internal=EU_ONLY), upstreams=("bare",)) == ("bare",)
    for name, rule in rules.items():
        assert allowed(policy({"bare": bare}, internal=rule), upstreams=("bare",)) == (), name


def test_3_the_answer_is_about_each_target_by_itself() -> None:
    # The gateway asks again right before each try: first, retry, fallback. Asked of one target alone, the answer is the same.
    residency = policy(personal=EU_ONLY)
    together = allowed(residency, "personal")
    assert together == (ENGINE, "berlin", "frankfurt")
    assert tuple(name for name in ALL if allowed(residency, "personal", upstreams=(name,))) == together


def test_4_where_nobody_is_allowed_every_refusal_has_its_reasons() -> None:
    placement = place(policy(state_secret=EU_ONLY), "state_secret", upstreams=("oregon", "nobody"))
    assert placement.allowed == ()
    assert [one.upstream for one in placement.rejected] == ["oregon", "nobody"]
    assert all(one.reasons for one in placement.rejected)


def test_5_upstreams_are_named_not_models() -> None:
    # Aliases and wildcards are resolved before: what is asked here are the upstreams that would serve.
    context = Context(model="an-alias-that-sounds-european")
    assert allowed(policy(internal=EU_ONLY), context=context, upstreams=("oregon",)) == ()


def test_6_a_caller_cannot_lower_what_the_guard_found() -> None:
    residency = policy(personal=EU_ONLY, public=EVERYWHERE)
    placement = place(residency, "public", findings=(EMAIL,))
    assert placement.labels == {"internal", "personal"}
    assert dict(placement.origins) == {"internal": "rule", "personal": "detector"}
    assert placement.allowed == allowed(residency, findings=(EMAIL,)) == (ENGINE, "berlin", "frankfurt")


def test_6_a_caller_can_raise() -> None:
    placement = place(policy(personal=EU_ONLY), "personal")
    assert dict(placement.origins) == {"internal": "rule", "personal": "caller"}
    assert "oregon" not in placement.allowed


def test_7_the_united_states_are_adequate_for_certified_recipients_only() -> None:
    residency = policy(personal=LabelRuleConfig(allowed=["EEA", "adequacy"]))
    assert allowed(residency, "personal") == (ENGINE, "berlin", "frankfurt", "oregon-dpf", "london")
    assert reasons(place(residency, "personal"), "oregon") == ("jurisdiction_not_allowed",)


def test_7_a_decision_that_has_run_out_no_longer_counts() -> None:
    residency = policy(personal=LabelRuleConfig(allowed=["EEA", "adequacy"]))
    assert "london" in allowed(residency, "personal", at_ns=day_ns("2031-12-27"))
    assert "london" not in allowed(residency, "personal", at_ns=day_ns("2031-12-28"))


def test_7_contract_clauses_are_a_basis_beside_adequacy() -> None:
    residency = policy(personal=LabelRuleConfig(allowed=["EEA", "US"], bases=["eea", "scc", "dpf_certified"]))
    assert "oregon" in allowed(residency, "personal")


def test_8_a_european_region_of_an_american_company_is_within_reach() -> None:
    residency = policy(personal=LabelRuleConfig(allowed=["EU"], no_cloud_act_exposure=True))
    placement = place(residency, "personal")
    assert placement.allowed == (ENGINE, "berlin")
    assert reasons(placement, "frankfurt") == ("cloud_act_exposure",)


@pytest.mark.parametrize(
    "change",
    [{"parent_jurisdiction": "US"}, {"us_presence": True}, {"subprocessors": {"Example Inc": "US"}}, {"jurisdiction": "US"}],
)
def test_8_any_tie_to_the_united_states_is_exposure(change: dict[str, object]) -> None:
    residency = policy(
        {"berlin": msgspec.structs.replace(BERLIN, **change)}, internal=LabelRuleConfig(allowed=["*"], no_cloud_act_exposure=True)
    )
    assert "cloud_act_exposure" in reasons(place(residency), "berlin")


def test_8_parents_and_subprocessors_have_rules_of_their_own() -> None:
    residency = policy(internal=LabelRuleConfig(allowed=["EU"], allowed_parents=["EU"]))
    assert reasons(place(residency), "frankfurt") == ("parent_not_allowed",)
    farmed_out = {"berlin": msgspec.structs.replace(BERLIN, subprocessors={"Cloud Ltd": "IN"})}
    assert reasons(place(policy(farmed_out, internal=EU_ONLY)), "berlin") == ("subprocessor_not_allowed",)


def test_10_tools_and_streams_are_under_the_same_labels() -> None:
    # Nothing that goes in tells a stream from a whole answer, or a tool's result from a user's words: none can be treated apart.
    in_a_tool = replace(EMAIL, channel=Channel.TOOL_RESULT)
    residency = policy(personal=EU_ONLY)
    assert place(residency, findings=(in_a_tool,)) == place(residency, findings=(EMAIL,))


def test_11_a_conversation_has_the_labels_of_all_its_turns() -> None:
    residency = policy(personal=EU_ONLY, special_category=LabelRuleConfig(local_only=True))
    health = replace(EMAIL, rule="diagnosis", category="health")
    config = ResidencyConfig(
        labels={Label.INTERNAL: EVERYWHERE, Label.PERSONAL: EU_ONLY, Label.SPECIAL_CATEGORY: LabelRuleConfig(local_only=True)},
        upstreams=SITES,
        findings={"personal_data": Label.PERSONAL, "health*": Label.SPECIAL_CATEGORY},
    )
    residency = LabelPolicy(config)
    first, second = (health,), (health, EMAIL)  # the second request carries the first turn
    assert allowed(residency, findings=first) == (ENGINE,)
    assert allowed(residency, findings=second) == (ENGINE,)
    assert place(residency, findings=second).labels == {"internal", "personal", "special_category"}


def test_12_an_old_decision_can_be_made_again_from_what_the_log_keeps() -> None:
    before = policy(personal=EU_ONLY)
    after = policy(personal=EVERYWHERE)
    assert before.digest != after.digest
    decided = place(before, "personal", findings=(EMAIL,))
    again = policy_of(before.document())
    assert again.digest == before.digest == decided.policy_digest
    found = [("email", "personal_data")]
    assert again.place_found(Context(), ["personal"], found, ALL, decided.at_ns) == decided
    assert place(after, "personal") != decided


def test_12_the_digest_is_over_the_table_of_jurisdictions_too() -> None:
    config = ResidencyConfig(labels={Label.INTERNAL: EU_ONLY}, upstreams=SITES)
    ours = LabelPolicy(config)
    table = policy_of(ours.document())._jurisdictions
    without_expiry = {**table, "GB": replace(table["GB"], adequate_until_ns=None)}
    assert LabelPolicy(config, without_expiry).digest != ours.digest
    with pytest.raises(ConfigError, match="no residency policy"):
        policy_of(b"{}")


codes = st.sampled_from(["DE", "US", "GB", "CN", "IS", "EU"])
sites = st.builds(
    SiteConfig,
    region=st.none() | st.just("r"),
    jurisdiction=st.none() | codes,
    parent_jurisdiction=st.none() | codes,
    us_presence=st.none() | st.booleans(),
    transfer_basis=st.none() | st.sampled_from(["eea", "adequacy", "dpf_certified", "scc"]),
    retention_days=st.none() | st.integers(0, 60),
    trains_on_data=st.none() | st.booleans(),
    subprocessors=st.dictionaries(st.just("sub"), codes),
    attested_at=st.none() | st.just(date(2026, 1, 1)),
    expires_at=st.none() | st.sampled_from([date(2026, 6, 1), date(2027, 6, 1)]),
)
places = st.lists(st.sampled_from(["DE", "US", "EU", "EEA", "adequacy", "*"]), max_size=3)
rules = st.builds(
    LabelRuleConfig,
    allowed=places,
    allowed_parents=places,
    bases=st.lists(st.sampled_from(["eea", "scc"]), max_size=2),
    local_only=st.booleans(),
    no_cloud_act_exposure=st.booleans(),
    max_retention_days=st.none() | st.integers(0, 60),
    no_training=st.booleans(),
)
configs = st.builds(
    ResidencyConfig,
    labels=st.dictionaries(st.sampled_from(Label), rules),
    upstreams=st.dictionaries(st.sampled_from(["a", "b", "c"]), sites),
    local=st.lists(st.just("b")),
)
label_names = st.lists(st.sampled_from([str(label) for label in Label]), max_size=4)


@given(configs, sites, label_names)
def test_13_an_upstream_that_is_added_never_turns_a_denied_pair_allowed(
    config: ResidencyConfig, added: SiteConfig, claimed: list[str]
) -> None:
    names = ("a", "b", "c", ENGINE)
    before = allowed(LabelPolicy(config), *claimed, upstreams=names)
    more = msgspec.structs.replace(config, upstreams=config.upstreams | {"new": added})
    after = allowed(LabelPolicy(more), *claimed, upstreams=(*names, "new"))
    assert tuple(name for name in after if name != "new") == before


@given(configs, label_names, label_names)
def test_more_labels_never_allow_more(config: ResidencyConfig, some: list[str], others: list[str]) -> None:
    residency = LabelPolicy(config)
    assert set(allowed(residency, *some, *others)) <= set(allowed(residency, *some))


@given(configs, label_names)
def test_what_the_caller_says_less_than_is_known_changes_nothing(config: ResidencyConfig, claimed: list[str]) -> None:
    residency = LabelPolicy(config)
    held = Context(labels=frozenset(["special_category", "state_secret"]))
    assert place(residency, *claimed, context=held) == place(residency, context=held)


@given(configs)
def test_every_policy_comes_back_from_the_log_as_it_was(config: ResidencyConfig) -> None:
    residency = LabelPolicy(config)
    again = policy_of(residency.document())
    assert again.digest == residency.digest
    assert again.document() == residency.document()


def test_14_our_own_engine_always_satisfies_local_only() -> None:
    residency = policy(internal=LabelRuleConfig(local_only=True), state_secret=LabelRuleConfig(local_only=True, no_training=True))
    assert allowed(residency, "state_secret") == (ENGINE,)
    config = ResidencyConfig(labels={Label.INTERNAL: LabelRuleConfig(local_only=True)}, local=["in-the-cellar"])
    assert allowed(LabelPolicy(config), upstreams=("in-the-cellar", "oregon")) == ("in-the-cellar",)


def test_keys_and_teams_have_labels() -> None:
    config = ResidencyConfig(
        labels={Label.INTERNAL: EVERYWHERE, Label.PERSONAL: EU_ONLY},
        upstreams=SITES,
        keys={"hr-*": [Label.PERSONAL]},
        teams={"payroll": [Label.PERSONAL]},
    )
    residency = LabelPolicy(config)
    assert "oregon" in allowed(residency, context=Context(key_name="dev", team="dev"))
    assert "oregon" not in allowed(residency, context=Context(key_name="hr-bot"))
    assert "oregon" not in allowed(residency, context=Context(team="payroll"))
    placement = place(residency, context=Context(labels=frozenset(["personal"])))
    assert dict(placement.origins)["personal"] == "key"
    assert "oregon" not in placement.allowed


def test_a_label_binds_the_rules_below_it() -> None:
    residency = policy(personal=EU_ONLY, special_category=LabelRuleConfig(allowed=["*"], no_training=True))
    assert allowed(residency, "special_category") == (ENGINE, "berlin", "frankfurt")


def test_labels_are_ordered() -> None:
    assert with_below(Label.STATE_SECRET) == (Label.STATE_SECRET, Label.EXPORT_CONTROLLED, Label.INTERNAL, Label.PUBLIC)
    assert not raises(Label.PERSONAL, [Label.SPECIAL_CATEGORY])
    assert raises(Label.PERSONAL, [Label.STATE_SECRET])


@pytest.mark.parametrize("claimed", ["secret", "Personal", "personal\n", ""])
def test_a_label_that_does_not_exist_is_refused(claimed: str) -> None:
    with pytest.raises(InvalidRequest, match="known labels: public"):
        place(policy(), claimed)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ResidencyConfig(labels={Label.PERSONAL: LabelRuleConfig(allowed=["EUROPE"])}), r"labels\.personal\.allowed: 'EUROPE'"),
        (ResidencyConfig(labels={Label.PERSONAL: LabelRuleConfig(allowed_parents=["XX"])}), "allowed_parents: 'XX'"),
        (ResidencyConfig(upstreams={"a": SiteConfig(jurisdiction="XX")}), r"upstreams\.a: 'XX'"),
        (ResidencyConfig(upstreams={"a": SiteConfig(subprocessors={"s": "XX"})}), r"upstreams\.a: 'XX'"),
    ],
)
def test_places_that_nobody_knows_are_refused_at_the_start(config: ResidencyConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelPolicy(config)


def test_without_a_configuration_nothing_is_restricted_and_no_promise_is_made() -> None:
    residency = make_residency(None)
    assert isinstance(residency, Unrestricted)
    assert allowed(residency, findings=(EMAIL,)) == ALL
    with pytest.raises(InvalidRequest, match="no rules on where data may go"):
        place(residency, "personal")
    assert isinstance(make_residency(ResidencyConfig()), LabelPolicy)
