"""A day's totals: of a model that ran here, and of one that was bought."""

from dataclasses import replace

from freehold.core.exchange import KeyId
from freehold.core.totals import DayTotal

LOCAL = DayTotal(
    day=20_000,
    key_id=KeyId("key_1"),
    team=None,
    provider="freehold",
    model="smollm2-135m",
    model_id="ab" * 32,
    grades="modelled",
    requests=4,
    refused_requests=1,
    known_requests=3,
    energy_j=7500.0,
    low_j=6000.0,
    high_j=9000.0,
    carbon_requests=3,
    carbon_g=1.5,
    carbon_low_g=1.2,
    carbon_high_g=1.8,
    electricity_requests=3,
    electricity_microusd=1200.0,
)
BOUGHT = replace(
    LOCAL,
    provider="openai",
    model="gpt-4o",
    model_id=None,
    grades="",
    requests=1,
    refused_requests=0,
    known_requests=0,
    energy_j=0.0,
    low_j=0.0,
    high_j=0.0,
    carbon_requests=0,
    carbon_g=0.0,
    carbon_low_g=0.0,
    carbon_high_g=0.0,
    electricity_requests=0,
    electricity_microusd=0.0,
    cost_microusd=200_000,
)
