"""Tokens that say whose they are: an issuer's prefix, then random characters. One line a kind.

Formats are the issuers' own, as documented or as issued. Lengths are the least seen and room to grow.
"""

import re

from freehold.guard.detectors import examples
from freehold.guard.detectors.detector import Detector
from freehold.guard.detectors.examples import sample
from freehold.guard.detectors.validators import Validator, many_kinds, varied

_CLASSES = {
    "a-z0-9": examples.LOWER,
    "A-Z0-9": examples.UPPER,
    "A-Z2-7": examples.BASE32,
    "a-f0-9": examples.HEX,
    "A-Fa-f0-9": examples.HEX,
    "A-Za-z0-9": examples.BASE62,
    "A-Za-z0-9_-": examples.URL_SAFE,
    "A-Za-z0-9_": examples.BASE62,
    "A-Za-z0-9._-": examples.URL_SAFE,
    "A-Za-z0-9_=-": examples.URL_SAFE,
    "A-Za-z0-9_.=-": examples.URL_SAFE,
    "A-Za-z0-9+/=_-": examples.BASE62,
    "A-Za-z0-9%_-": examples.BASE62,
    "A-Za-z": examples.BASE62[:52],
}


def prefixed(
    rule: str,
    prefix: str,
    chars: str,
    least: int,
    most: int | None = None,
    *,
    prefix_pattern: str = "",
    confidence: float = 0.98,
    validator: Validator = varied,
) -> Detector:
    """A token of `prefix` and `least` to `most` of `chars`; `most` None is open. `prefix_pattern` where prefixes vary."""
    head = prefix_pattern or re.escape(prefix)
    body = f"[{chars}]{{{least},{'' if most is None else most}}}"
    token = sample(least, _CLASSES[chars])
    return Detector(
        id=rule,
        pattern=f"{head}{body}",
        confidence=confidence,
        validator=validator,
        must_match=(f"use {prefix}{token} for now", f'{{"key":"{prefix}{token}"}}'),
        must_not_match=(f"use {prefix}{token[: least - 3]} for now", f"use {prefix}{'x' * least} for now", f"a{prefix}{token}"),
    )


PREFIXED = (
    # code hosts and package registries
    prefixed("github-token", "ghp_", "A-Za-z0-9", 36, 255, prefix_pattern="gh[pousr]_"),
    prefixed("github-fine-grained-token", "github_pat_", "A-Za-z0-9_", 60, 255),
    prefixed(
        "gitlab-token",
        "glpat-",
        "A-Za-z0-9_.=-",
        20,
        300,
        prefix_pattern="gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct|oas|wt)-(?:t[0-9]_)?",
    ),
    prefixed("gitlab-runner-registration-token", "GR1348941", "A-Za-z0-9_-", 20, 50),
    prefixed("npm-token", "npm_", "A-Za-z0-9", 36, 64),
    prefixed("pypi-token", "pypi-AgEI", "A-Za-z0-9_-", 50, 1000, prefix_pattern="pypi-AgE[A-Za-z]"),
    prefixed("rubygems-token", "rubygems_", "a-f0-9", 48, 48),
    prefixed("clojars-token", "CLOJARS_", "a-z0-9", 60, 60),
    prefixed("crates-token", "cio", "A-Za-z0-9", 32, 32, confidence=0.9),
    prefixed("dockerhub-token", "dckr_pat_", "A-Za-z0-9_-", 27, 64, prefix_pattern="dckr_(?:pat|oat)_"),
    prefixed("artifactory-token", "AKCp", "A-Za-z0-9", 60, 80),
    prefixed("artifactory-reference-token", "cmVmdGtu", "A-Za-z0-9", 56, 56, prefix_pattern="cmVm(?:dGtu|d[A-Za-z0-9]{3})"),
    prefixed("sourcegraph-token", "sgp_", "A-Fa-f0-9", 40, 64, prefix_pattern="sgp_(?:[A-Fa-f0-9]{16}_|local_)?"),
    prefixed("nuget-token", "oy2", "a-z0-9", 43, 43),
    # clouds and hosts
    prefixed("google-api-key", "AIza", "A-Za-z0-9_-", 35, 35),
    prefixed("google-oauth-secret", "GOCSPX-", "A-Za-z0-9_-", 28, 28),
    prefixed("google-oauth-token", "ya29.", "A-Za-z0-9_-", 30, None),
    prefixed("digitalocean-token", "dop_v1_", "a-f0-9", 64, 64, prefix_pattern="do[opr]_v1_"),
    prefixed("heroku-token", "HRKU-AA", "A-Za-z0-9_-", 58, 64),
    prefixed("fly-token", "fo1_", "A-Za-z0-9_", 43, 43),
    prefixed("fly-macaroon", "fm1r_", "A-Za-z0-9+/=_-", 100, None, prefix_pattern="fm[12][ar]?_"),
    prefixed("vercel-token", "vcp_", "A-Za-z0-9", 40, 64, prefix_pattern="vc[pciakr]_"),
    prefixed("netlify-token", "nfp_", "A-Za-z0-9", 36, 64, prefix_pattern="nf[pcobu]_"),
    prefixed("cloudflare-token", "cfat_", "A-Za-z0-9", 48, 64, prefix_pattern="cf(?:at|ut|k)_"),
    prefixed("alibaba-access-key", "LTAI", "A-Za-z0-9", 20, 20),
    prefixed("planetscale-token", "pscale_tkn_", "A-Za-z0-9_.=-", 32, 64, prefix_pattern="pscale_(?:tkn|pw|oauth)_"),
    prefixed("supabase-token", "sbp_", "a-f0-9", 40, 40),
    prefixed("terraform-token", f"{sample(14)}.atlasv1.", "A-Za-z0-9_=-", 60, 70, prefix_pattern=r"[A-Za-z0-9]{14}\.atlasv1\."),
    prefixed("vault-token", "hvs.", "A-Za-z0-9_-", 24, 300, prefix_pattern=r"hv[sbr]\."),
    prefixed("pulumi-token", "pul-", "a-f0-9", 40, 40),
    prefixed("scalingo-token", "tk-us-", "A-Za-z0-9_-", 48, 48),
    prefixed(
        "doppler-token", "dp.pt.", "A-Za-z0-9", 40, 64, prefix_pattern=r"dp\.(?:ct|pt|sa|scim|audit|st(?:\.[a-z0-9_-]{2,35})?)\."
    ),
    prefixed("infracost-token", "ico-", "A-Za-z0-9", 32, 32),
    prefixed("prefect-token", "pnu_", "A-Za-z0-9", 36, 36),
    prefixed("tailscale-key", "tskey-auth-", "A-Za-z0-9_-", 20, 80, prefix_pattern="tskey-[a-z]+-"),
    prefixed("databricks-token", "dapi", "A-Fa-f0-9", 32, 32),
    prefixed("openshift-token", "sha256~", "A-Za-z0-9_-", 43, 43),
    prefixed("bedrock-key", "ABSK", "A-Za-z0-9+/=_-", 100, 300),
    prefixed("yandex-key", "AQVN", "A-Za-z0-9_-", 35, 38),
    prefixed("yandex-secret", "YCP", "A-Za-z0-9_-", 37, 37, prefix_pattern="YC[A-Za-z0-9]"),
    # models
    prefixed("openai-key", "sk-", "A-Za-z0-9_-", 40, 200, prefix_pattern="sk-(?:proj-|svcacct-|admin-|None-)?", confidence=0.95),
    prefixed("anthropic-key", "sk-ant-api03-", "A-Za-z0-9_-", 60, 120, prefix_pattern="sk-ant-(?:api|admin|oat|ort)[0-9]{2}-"),
    prefixed("huggingface-token", "hf_", "A-Za-z", 34, 37, prefix_pattern="(?:hf|api_org)_"),
    prefixed("groq-key", "gsk_", "A-Za-z0-9", 48, 60),
    prefixed("perplexity-key", "pplx-", "A-Za-z0-9", 40, 64),
    prefixed("replicate-token", "r8_", "A-Za-z0-9", 37, 40),
    prefixed("xai-key", "xai-", "A-Za-z0-9", 60, 100),
    prefixed("openrouter-key", "sk-or-v1-", "a-f0-9", 64, 64),
    prefixed("nvidia-api-key", "nvapi-", "A-Za-z0-9_-", 60, 80),
    prefixed("langsmith-key", "lsv2_pt_", "a-f0-9", 32, 32, prefix_pattern="lsv2_(?:pt|sk)_"),
    prefixed("tavily-key", "tvly-", "A-Za-z0-9_-", 30, 64),
    prefixed("firecrawl-key", "fc-", "a-f0-9", 32, 32),
    prefixed("jina-key", "jina_", "A-Za-z0-9_-", 55, 70),
    # payment
    prefixed("stripe-key", "sk_live_", "A-Za-z0-9", 16, 247, prefix_pattern="[rs]k_(?:live|test|prod)_"),
    prefixed("stripe-webhook-secret", "whsec_", "A-Za-z0-9+/=_-", 32, 100),
    prefixed("square-token", "sq0atp-", "A-Za-z0-9_-", 22, 60, prefix_pattern="(?:sandbox-)?sq0(?:atp|atb|csp|csb|idp)-"),
    prefixed("square-access-token", "EAAA", "A-Za-z0-9+/=_-", 60, 60),
    prefixed("razorpay-key", "rzp_live_", "A-Za-z0-9", 14, 24, prefix_pattern="rzp_(?:live|test)_"),
    prefixed("flutterwave-key", "FLWSECK_TEST-", "a-f0-9", 12, 36, prefix_pattern="FLW(?:SEC|PUB)K(?:_TEST)?-"),
    prefixed("shippo-token", "shippo_live_", "a-f0-9", 40, 40, prefix_pattern="shippo_(?:live|test)_"),
    prefixed("easypost-key", "EZAK", "A-Za-z0-9", 54, 54, prefix_pattern="EZ[AT]K"),
    prefixed("duffel-token", "duffel_live_", "A-Za-z0-9_=-", 43, 43, prefix_pattern="duffel_(?:live|test)_"),
    prefixed("shopify-token", "shpat_", "A-Fa-f0-9", 32, 38, prefix_pattern="shp(?:at|ca|pa|ss)_"),
    # messages and mail
    prefixed("slack-token", "xoxb-", "A-Za-z0-9_-", 18, 300, prefix_pattern=r"xox[abceoprs](?:\.xox[bp])?-"),
    prefixed("slack-app-token", "xapp-", "A-Za-z0-9+/=_-", 24, 200),
    prefixed("sendgrid-key", f"SG.{sample(22)}.", "A-Za-z0-9_=-", 39, 50, prefix_pattern=r"SG\.[A-Za-z0-9_=-]{16,26}\."),
    prefixed("mailgun-key", "key-", "a-f0-9", 32, 32, prefix_pattern="(?:pub)?key-"),
    prefixed("sendinblue-key", "xkeysib-", "a-f0-9", 64, 64),
    prefixed("telegram-token", "110201543:AA", "A-Za-z0-9_-", 32, 33, prefix_pattern="[0-9]{8,10}:A[A-Za-z]"),
    prefixed("twilio-key", "SK", "a-f0-9", 32, 32, confidence=0.9),
    prefixed("twilio-account", "AC", "a-f0-9", 32, 32, confidence=0.85),
    prefixed("typeform-token", "tfp_", "A-Za-z0-9_.=-", 40, 64),
    prefixed("facebook-token", "EAAC", "A-Za-z0-9", 40, 400, prefix_pattern="EAA[A-Z]"),
    prefixed("twitter-bearer", "AAAAAAAAAAAAAAAAAAAAA", "A-Za-z0-9%_-", 40, 160, prefix_pattern="A{20}", validator=many_kinds),
    # tools and monitoring
    prefixed("grafana-token", "glsa_", "A-Za-z0-9_", 40, 48, prefix_pattern="glsa_"),
    prefixed("grafana-cloud-token", "glc_", "A-Za-z0-9+/=_-", 32, 400),
    prefixed("grafana-api-key", "eyJrIjoi", "A-Za-z0-9+/=_-", 60, 400),
    prefixed("newrelic-key", "NRAK-", "A-Za-z0-9_-", 19, 42, prefix_pattern="NR(?:AK|AA|JS|II|IQ|RA|SP)-"),
    prefixed("sentry-token", "sntrys_", "A-Za-z0-9+/=_-", 60, 400, prefix_pattern="sntry[su]_"),
    prefixed("dynatrace-token", f"dt0c01.{sample(24)}.", "A-Z0-9", 64, 64, prefix_pattern=r"dt0[a-z][0-9]{2}\.[A-Za-z0-9]{24}\."),
    prefixed("postman-key", "PMAK-", "A-Za-z0-9_-", 59, 59),
    prefixed("linear-key", "lin_api_", "A-Za-z0-9", 40, 48, prefix_pattern="lin_(?:api|oauth)_"),
    prefixed("notion-token", "ntn_", "A-Za-z0-9", 40, 50, prefix_pattern="ntn_"),
    prefixed("atlassian-token", "ATATT3", "A-Za-z0-9_=-", 60, 250, prefix_pattern="AT(?:ATT3|CTT3|BB)"),
    prefixed("figma-token", "figd_", "A-Za-z0-9_-", 40, 60, prefix_pattern="fig[dorup]_"),
    prefixed("readme-key", "rdme_", "a-z0-9", 70, 70),
    prefixed("contentful-token", "CFPAT-", "A-Za-z0-9_-", 43, 43),
    prefixed("octopus-key", "API-", "A-Z0-9", 26, 32, confidence=0.85),
    prefixed("frameio-token", "fio-u-", "A-Za-z0-9_=-", 64, 64),
    prefixed(
        "launchdarkly-key", f"api-{sample(8, examples.HEX)}-", "a-f0-9", 36, 36, prefix_pattern="(?:api|sdk|mob)-[a-f0-9]{8}-"
    ),
    prefixed("adafruit-key", "aio_", "A-Za-z0-9", 28, 28),
    prefixed("airtable-token", f"pat{sample(14)}.", "a-f0-9", 64, 64, prefix_pattern=r"pat[A-Za-z0-9]{14}\."),
    prefixed("defined-networking-key", "dnkey-", "A-Za-z0-9_=-", 60, 90),
    prefixed("settlemint-token", "sm_pat_", "A-Za-z0-9", 16, 16, prefix_pattern="sm_[aps]at_"),
    prefixed("intra42-secret", "s-s4t2ud-", "a-f0-9", 64, 64, prefix_pattern="s-s4t2(?:ud|af)-"),
    prefixed("onepassword-account-token", "ops_eyJ", "A-Za-z0-9+/=_-", 200, None),
    prefixed("age-secret-key", "AGE-SECRET-KEY-1", "A-Z0-9", 58, 58),
    prefixed("adobe-secret", "p8e-", "A-Za-z0-9_-", 32, 40),
    prefixed("dropbox-token", "sl.", "A-Za-z0-9_=-", 100, None),
    prefixed(
        "pixie-key",
        f"px-api-{sample(8, examples.HEX)}-",
        "a-f0-9",
        24,
        40,
        prefix_pattern="px-(?:api|dep)-[a-f0-9]{8}-",
        confidence=0.9,
    ),
    prefixed("appsync-key", "da2-", "a-z0-9", 26, 26),
    prefixed("dependency-track-key", "odt_", "A-Za-z0-9", 32, 48),
    prefixed("twitch-stream-key", "live_126031192_", "A-Za-z0-9", 30, 30, prefix_pattern="live_[0-9]{6,12}_"),
    prefixed("stackhawk-key", f"hawk.{sample(20)}.", "A-Za-z0-9_-", 20, 20, prefix_pattern=r"hawk\.[A-Za-z0-9_-]{20}\."),
    prefixed("mapbox-token", f"sk.{sample(60)}.", "A-Za-z0-9_-", 22, 22, prefix_pattern=r"[sp]k\.[A-Za-z0-9]{50,120}\."),
    prefixed(
        "harness-token",
        f"pat.{sample(22)}.{sample(24)}.",
        "A-Za-z0-9",
        20,
        20,
        prefix_pattern=r"[ps]at\.[A-Za-z0-9]{22}\.[A-Za-z0-9]{24}\.",
    ),
    prefixed("clickhouse-cloud-key", "4b1d", "A-Za-z0-9", 38, 38),
)
