"""Audits that a node repeats: one after the other, each when it is due; evidence adds up over days and over restarts.

A run that cannot be held (the upstream is down, a limit is reached) is told and tried again; it is no evidence of anything. Where
the reference is stored, each run is compared with the baseline and all runs before it, which keeps the evidence valid
(`provenance.model_audit.evidence`). Drift is told at every run once it is found.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import exp
from pathlib import Path
from random import Random

from freehold.config import Config
from freehold.core.errors import ConfigError, FreeholdError, LimitReached
from freehold.core.findings import Alert
from freehold.core.ports import Alarm, AuditLog, Prices, UnixClock, Upstream
from freehold.gateway import log
from freehold.model_audits.collect import Pace, Sleep
from freehold.model_audits.planning import Asked, make_plan
from freehold.model_audits.sides import ENGINE, Audited, SideName, Taken, find_side, judged, open_side, read_baseline, take
from freehold.model_audits.spending import Ceiling
from freehold.model_audits.state import State, read_state, subject_of, with_run, write_state
from freehold.provenance.model_audit.baseline import Baseline, plan_digest
from freehold.provenance.model_audit.comparison import CAUSES
from freehold.provenance.model_audit.config import ModelAuditConfig
from freehold.provenance.model_audit.counts import Mismatch, name_mismatches
from freehold.provenance.model_audit.evidence import log_bound
from freehold.provenance.model_audit.sample import AuditPlan, Sample

_HOUR_NS = 3_600_000_000_000
_AGAIN_NS = _HOUR_NS  # after a run that could not be held
POOL_ANSWERS = 400  # to a prompt: comparing grows with the square
_LONGEST_SLEEP_S = 3600.0  # a clock that is set, or a machine that slept, is noticed so late

# Audit, outcome ("no_difference", "drift", "mismatch", "cannot"), and each test's e-value.
Note = Callable[[str, str, Mapping[str, float]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """One audit, looked up."""

    config: ModelAuditConfig
    side: SideName
    reference: SideName
    baseline: Baseline | None
    plan: AuditPlan
    subject: str

    @property
    def is_same_service(self) -> bool:
        base = self.baseline
        return base is not None and (base.upstream, base.model) == (self.side.price_name, self.side.model)


class ModelAudits:
    """Holds the audits of a configuration. Raises ConfigError where one of them cannot be held at all."""

    def __init__(
        self,
        config: Config,
        home: Path,
        folder: Path,
        *,
        engine: Upstream | None,
        audit_log: AuditLog,
        alarm: Alarm,
        prices: Prices,
        note: Note = lambda _name, _outcome, _e: None,
        unix_ns: UnixClock = time.time_ns,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._config, self._home, self._folder = config, home, folder
        self._engine, self._audit_log, self._alarm, self._prices = engine, audit_log, alarm, prices
        self._note, self._unix_ns, self._sleep = note, unix_ns, sleep
        self._planned = [self._look_up(one) for one in config.model_audit]
        self._states: dict[str, State] = {}
        for one in self._planned:
            self._states[one.config.name] = read_state(home, one.config.name, one.subject)

    async def run(self) -> None:
        """Hold what is due, until cancelled."""
        for one in self._planned:
            self._note(one.config.name, "", _e_values(self._states[one.config.name]))
        while self._planned:
            due = min(self._planned, key=lambda one: self._states[one.config.name].due_ns)
            wait_s = (self._states[due.config.name].due_ns - self._unix_ns()) / 1e9
            if wait_s > 0:
                await self._sleep(min(wait_s, _LONGEST_SLEEP_S))
            else:
                await self.hold(due.config.name)

    async def hold(self, name: str) -> None:
        """One run now, whatever came of it told and kept. Raises only what cancels it."""
        (one,) = (planned for planned in self._planned if planned.config.name == name)
        begun_ns = self._unix_ns()
        try:
            audited = await self._audit(one)
            if not audited.comparison.outcomes:
                raise ConfigError("no test could be held: " + "; ".join(audited.comparison.skipped.values()))
            await self._keep(one, audited, begun_ns)
        except FreeholdError as error:
            await self._cannot(one, error, begun_ns)
        except Exception as exc:  # the schedule outlives whatever a run does to it
            log.error("model_audit_broken", audit=name, error=type(exc).__name__)
            await self._cannot(one, ConfigError(f"it failed with {type(exc).__name__}"), begun_ns)

    # ---- what is compared -----------------------------------------------------------------------------------

    def _look_up(self, config: ModelAuditConfig) -> _Planned:
        try:
            side = find_side(self._config, self._home, self._folder, config.upstream, config.model, may_be_file=False)
            reference = find_side(
                self._config, self._home, self._folder, config.reference, config.reference_model, may_be_file=True
            )
            baseline = read_baseline(reference.file) if reference.file is not None else None
            plan = self._plan(config, baseline)
        except FreeholdError as error:
            raise ConfigError(f"model_audit {config.name}: {error.message}") from error
        stored = sha256(reference.file.read_bytes()).hexdigest() if reference.file is not None else ""
        subject = subject_of(side, reference, stored, plan_digest(plan))
        return _Planned(config=config, side=side, reference=reference, baseline=baseline, plan=plan, subject=subject)

    def _plan(self, config: ModelAuditConfig, baseline: Baseline | None) -> AuditPlan:
        path = None if config.prompts_file is None else self._folder / Path(config.prompts_file).expanduser()
        asked = Asked(
            plan=config.plan,
            prompts_path=path,
            prompt_count=config.prompt_count,
            samples=config.samples,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
            tests=config.tests or None,
            alpha=config.alpha,
        )
        return make_plan(asked, baseline)

    # ---- one run --------------------------------------------------------------------------------------------

    async def _audit(self, one: _Planned) -> Audited:
        state = self._states[one.config.name]
        async with open_side(self._config, self._folder, one.side, self._engine) as side:
            now = await take(side, one.plan, self._prices, *self._limits(one), sleep=self._sleep)
        run = state.evidence.runs
        if one.baseline is not None:
            before = (state.pool or one.baseline).sample
            reference = replace(before, served=before.served | state.known)
            return await judged(one.plan, now, reference, None, is_same_service=one.is_same_service, run=run, tell_power=False)
        async with open_side(self._config, self._folder, one.reference, self._engine) as other:
            taken = await take(other, one.plan, self._prices, *self._limits(one), of_reference=True, sleep=self._sleep)
            return await judged(one.plan, now, taken.sample, other, is_same_service=False, run=run, tell_power=False)

    def _limits(self, one: _Planned) -> tuple[Pace, Ceiling]:
        config = one.config
        pace = Pace(concurrency=config.concurrency, per_minute=config.per_minute, answers_per_request=config.answers_per_request)
        microusd = None if config.max_usd is None else round(config.max_usd * 1e6)
        return pace, Ceiling(requests=config.max_requests, microusd=microusd)

    async def _keep(self, one: _Planned, audited: Audited, begun_ns: int) -> None:
        name = one.config.name
        before = self._states[name]
        ps: dict[str, float] = {outcome.test: outcome.p for outcome in audited.comparison.outcomes}
        known = Sample(replies={}, served=before.known)
        mismatches = list(audited.comparison.mismatches)
        if not one.is_same_service:
            mismatches += name_mismatches(known, audited.now.sample)
        state = with_run(before, ps, audited.now.sample.served, self._pool(one, before, audited.now))
        state = replace(state, due_ns=begun_ns + round(one.config.every_h * _HOUR_NS))
        drifted = state.evidence.alarms(one.plan.alpha, len(one.plan.tests))
        await asyncio.to_thread(write_state, self._home, name, state)
        self._states[name] = state
        await self._audit_log.append("model_audit", _facts(one, audited, state, drifted, mismatches))
        self._tell(one, state, drifted, mismatches)
        outcome = "drift" if drifted else "mismatch" if mismatches else "no_difference"
        log.info("model_audit_held", audit=name, outcome=outcome, run=state.evidence.runs)
        self._note(name, outcome, _e_values(state))

    def _pool(self, one: _Planned, state: State, now: Taken) -> Baseline | None:
        """What the next run is compared with: all that was answered so far, or a random part of it. Drift is not joined to it."""
        if one.baseline is None:
            return None
        pool = state.pool or one.baseline
        if state.evidence.alarms(one.plan.alpha, len(one.plan.tests)):
            return pool
        rng = Random(f"{one.plan.seed} {state.evidence.runs}")
        return replace(pool, sample=pool.sample.with_more(now.sample).thinned(POOL_ANSWERS, rng))

    def _tell(self, one: _Planned, state: State, drifted: Sequence[str], mismatches: Sequence[Mismatch]) -> None:
        what = f"model audit {one.config.name}: {one.side}"
        if drifted:
            e_value = exp(max(min(state.evidence.peak[test], 700.0) for test in drifted))
            bound = exp(log_bound(one.plan.alpha, len(one.plan.tests)))
            self._raise(
                "model_drift",
                "critical",
                f"{what} answers with another distribution than {one.reference}: {', '.join(drifted)}, e-value {e_value:.3g} of "
                f"{bound:.3g} after {state.evidence.runs} runs. It may be {'; '.join(CAUSES)}",
            )
        for mismatch in mismatches:
            is_name = mismatch.kind in ("fingerprint", "model_name")
            self._raise("model_renamed" if is_name else "model_tokens_misfit", "warning", f"{what}: {mismatch.words}")

    async def _cannot(self, one: _Planned, error: FreeholdError, begun_ns: int) -> None:
        name = one.config.name
        every_ns = round(one.config.every_h * _HOUR_NS)
        wait_ns = every_ns if isinstance(error, LimitReached | ConfigError) else min(every_ns, _AGAIN_NS)
        state = replace(self._states[name], due_ns=begun_ns + wait_ns)
        self._states[name] = state
        log.error("model_audit_failed", audit=name, code=error.code)
        self._raise("model_audit_failed", "warning", f"model audit {name} could not be held: {error.message[:300]}")
        self._note(name, "cannot", _e_values(state))
        try:
            await asyncio.to_thread(write_state, self._home, name, state)
            await self._audit_log.append("model_audit_failed", {"audit": name, "code": error.code})
        except FreeholdError as also:
            log.error("model_audit_not_recorded", audit=name, code=also.code)

    def _raise(self, kind: str, severity: str, message: str) -> None:
        self._alarm.raise_alert(Alert(kind=kind, severity=severity, message=message))


def _e_values(state: State) -> dict[str, float]:
    return {test: exp(min(value, 700.0)) for test, value in state.evidence.log_e.items()}


def _facts(
    one: _Planned, audited: Audited, state: State, drifted: Sequence[str], mismatches: Sequence[Mismatch]
) -> dict[str, object]:
    spending = audited.now.spending
    return {
        "audit": one.config.name,
        "upstream": one.side.upstream or ENGINE,
        "model": one.side.model,
        "reference": str(one.reference),
        "subject": state.subject,
        "run": state.evidence.runs,
        "p": {outcome.test: outcome.p for outcome in audited.comparison.outcomes},
        "log_e": dict(state.evidence.log_e),
        "drift": list(drifted),
        "mismatches": [mismatch.kind for mismatch in mismatches],
        "requests": spending.requests,
        "input_tokens": spending.input_tokens,
        "output_tokens": spending.output_tokens,
        "cost_microusd": spending.microusd,
    }
