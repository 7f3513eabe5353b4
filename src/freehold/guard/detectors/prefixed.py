"""Tokens that say whose they are: an issuer's mark, then random characters. One line a kind.

Formats are the issuers' own, as documented or as issued; a length is exact where the issuer's is. Examples are made from the
patterns, so that none stands here for a scanner to find.
"""

import re

from freehold.guard.detectors.detector import NOT_ALNUM, Detector
from freehold.guard.detectors.examples import shaped
from freehold.guard.detectors.validators import Validator, all_of, last_part, many_kinds, marked, random_token, varied

_LAST_SET = re.compile(r"\[((?:\\.|[^\]\\])+)\](?:\{\d+(?:,\d*)?\})?\)*$")
UNMISTAKABLE = 0.95
_STANDS_ALONE = r"(?:^|[^A-Za-z0-9._/-])"  # for short marks, which end file names and paths, too
# Glued to a letter a mark may be a word's end, as `pul-` of "vipul-"; one as long as these, with a sign in it, is none. Where a
# word may end so all the same, its row says NOT_ALNUM.
_MARK = re.compile(r"(?:[A-Za-z0-9_~/-]|\\\W|\[[^\]]+\](?!\{)|\((?:\?:)?[^(){}]+\)\??)*")
_LEAST_MARK, _LEAST_BODY = 5, 20
ANYWHERE = ""


def _left(pattern: str, example: str, confidence: float) -> str:
    """What must stand before a token of `pattern`."""
    found = _MARK.match(pattern)
    mark = shaped(found[0]) if found is not None else ""
    tells = len(mark) >= _LEAST_MARK and not mark.isalnum() and len(example) - len(mark) >= _LEAST_BODY
    return ANYWHERE if tells and confidence >= UNMISTAKABLE else NOT_ALNUM


def token(
    rule: str, pattern: str, *, confidence: float = 0.98, validator: Validator | None = None, left: str | None = None
) -> Detector:
    """A token of `pattern`; it ends where its last set of characters does.

    A mark as sure as `UNMISTAKABLE` makes any body count, even one that nobody's generator made.
    """
    example = shaped(pattern)
    last = _LAST_SET.search(pattern)
    joined = "".join(char for char in "_-" if last and char in re.sub("[A-Za-z0-9]-[A-Za-z0-9]", "", last[1]))
    half = len(example) // 2
    left = _left(pattern, example, confidence) if left is None else left
    glued = (f"Z{example}",)
    found, passed = (glued, ()) if left == ANYWHERE else ((), glued)
    return Detector(
        id=rule,
        left=left,
        pattern=pattern,
        after=rf"(?:[^A-Za-z0-9{joined}]|$)",
        confidence=confidence,
        validator=validator or (marked if confidence >= UNMISTAKABLE else varied),
        must_match=(f"use {example} for now", f'{{"key":"{example}"}}', *found),
        must_not_match=(f"use {example[:-3]} for now", f"use {example[:half]}{'x' * (len(example) - half)}", *passed),
    )


def _short_key(value: bytes) -> bool:
    """Of a mark of three letters: a generated body, or the row of x that a manual has in place of one."""
    return set(value[3:]) == {120} or (varied(value) and random_token()(value))


# What many issuers have in common, for those the table does not name: `acme_live_…`, `acme_pat_…`.
_UNNAMED = (
    token(
        "environment-token",  # `pk` is a public key
        r"[a-z]{1,12}[_-](?:live|test|prod|production|sandbox|staging|dev)[_-][A-Za-z0-9]{20,80}",
        confidence=0.91,
        validator=all_of(varied, random_token(3.4), lambda value: not value.startswith((b"pk_", b"pk-"))),
    ),
    token(
        "marked-token",
        r"[a-z]{2,12}[_-](?:pat|sat|uat|oat|api|key|token|secret|sk|rk)[_-][A-Za-z0-9]{24,120}",
        confidence=0.91,
        left=_STANDS_ALONE,
        validator=all_of(varied, random_token(3.4)),
    ),
)

PREFIXED = (
    *_UNNAMED,
    # code hosts and package registries
    token("github-token", r"gh[pousr]_[A-Za-z0-9]{36,255}", left=ANYWHERE),
    token("github-fine-grained-token", r"github_pat_[A-Za-z0-9_]{60,255}"),
    token("gitlab-token", r"gl(?:pat|dt|rt|ft|soat|ffct|wt)-[A-Za-z0-9_-]{20,50}"),
    token("gitlab-routable-token", r"gl[a-z]{2,5}-(?:t[0-9]_)?[A-Za-z0-9_-]{27,300}\.[a-z0-9]{2}(?:\.)?[a-z0-9]{7,9}"),
    token("gitlab-runner-token", r"gl(?:rtr-|rt-t[0-9]_)[A-Za-z0-9_-]{20}"),
    token("gitlab-ci-job-token", r"glcbt-(?:[A-Za-z0-9]{1,5}_)?[A-Za-z0-9_-]{20}"),
    token("gitlab-trigger-token", r"glptt-[A-Za-z0-9_-]{40}"),
    token("gitlab-mail-token", r"glimt-[A-Za-z0-9_-]{25}"),
    token("gitlab-agent-token", r"glagent-[A-Za-z0-9_-]{50,64}"),
    token("gitlab-oauth-secret", r"gloas-[A-Za-z0-9_-]{64}"),
    token("gitlab-runner-registration-token", r"GR1348941[A-Za-z0-9_-]{20,50}"),
    token("npm-token", r"npm_[A-Za-z0-9]{36,64}"),
    token("pypi-token", r"pypi-AgE(?:IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{70,1000}"),
    token("rubygems-token", r"rubygems_[a-f0-9]{48}"),
    token("clojars-token", r"CLOJARS_[a-z0-9]{60}"),
    token("crates-token", r"cio[A-Za-z0-9]{32}", confidence=0.9),
    token("dockerhub-token", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,64}"),
    token("artifactory-token", r"AKC[a-zA-Z0-9][A-Za-z0-9]{40,80}"),
    token("artifactory-short-key", r"A(?:KC|P[0-9A-F])[A-Za-z0-9]{10,39}", confidence=0.8, validator=_short_key),
    token("artifactory-reference-token", r"cmVm(?:dGtu|d[A-Za-z0-9]{3})[A-Za-z0-9]{56}"),
    token("artifactory-encrypted-password", r"AP[56ABCDE][A-Za-z0-9]{25,80}", confidence=0.9),
    token("sourcegraph-token", r"sgp_(?:[A-Fa-f0-9]{16}_|local_)?[A-Fa-f0-9]{40,64}"),
    token("sourcegraph-cody-key", r"slk_[a-f0-9]{64}"),
    token("nuget-token", r"oy2[a-z0-9]{43}"),
    token("bitbucket-repository-token", r"BBDC-[A-Za-z0-9+/@_-]{40,50}"),
    token("deno-token", r"dd[pwo]_[A-Za-z0-9]{36}"),
    token("zuplo-key", r"zpka_[a-z0-9]{32}_[a-f0-9]{8}"),
    token("val-town-token", r"vtwn_[A-Za-z0-9]{25,40}"),
    token("paseto", r"v[1-4]\.(?:local|public)\.[A-Za-z0-9_-]{40,800}", confidence=0.92),
    # clouds and hosts
    token("elastic-cloud-key", r"essu_[A-Za-z0-9+/=_-]{40,200}"),
    token("kong-token", r"[ks]pat_[A-Za-z0-9]{40,64}"),
    token("login-with-amazon-secret", r"amzn1\.oa2-cs\.v1\.[a-f0-9]{64}"),
    token("google-api-key", r"AIza[A-Za-z0-9_-]{35}", validator=varied),  # its documentation is full of filled-in ones
    token("google-oauth-secret", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    token("google-oauth-token", r"ya29\.[A-Za-z0-9_-]{30,}"),
    token("google-oauth-refresh-token", r"1//0[A-Za-z0-9_-]{40,120}"),
    token("google-recaptcha-secret", r"6L[A-Za-z0-9_-]{6}AAAAA[A-Za-z0-9_-]{27}", confidence=0.9, validator=last_part(27)),
    token("firebase-messaging-key", r"AAAA[A-Za-z0-9_-]{7}:[A-Za-z0-9_-]{140}"),
    token(
        "google-oauth-client",
        r"[0-9]{9,14}-[a-z0-9]{32}\.apps\.googleusercontent\.com",
        confidence=0.7,  # an address that a secret belongs to
    ),
    token("google-storage-hmac-key", r"GOOG[A-Z0-9]{20,58}", confidence=0.9),
    token("digitalocean-token", r"do[opr]_v1_[a-f0-9]{64}"),
    token("heroku-token", r"HRKU-AA[A-Za-z0-9_-]{58,64}"),
    token("fly-token", r"fo1_[A-Za-z0-9_-]{43}"),
    token("fly-macaroon", r"fm[12][ar]?_[A-Za-z0-9+/=_-]{100,}"),
    token("vercel-token", r"vc[pciakr]_[A-Za-z0-9]{40,64}"),
    token("vercel-blob-token", r"vercel_blob_rw_[A-Za-z0-9]{10,20}_[A-Za-z0-9]{24,40}"),
    token("netlify-token", r"nf[pcobu]_[A-Za-z0-9]{36,64}"),
    token("cloudflare-token", r"cf(?:at|ut|k)_[A-Za-z0-9]{40}[a-f0-9]{8}"),
    token("cloudflare-origin-ca-key", r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}"),
    token("alibaba-access-key", r"LTAI[A-Za-z0-9]{12,24}", confidence=0.95),
    token("tencent-secret-id", r"AKID[A-Za-z0-9]{32}"),
    token("volcengine-key", r"AKLT[A-Za-z0-9]{42,48}"),
    token("jd-cloud-key", r"JDC_[A-Z0-9]{28}"),
    token("baidu-bce-key", r"bce-v3/ALTAK-[A-Za-z0-9]{21}/[a-f0-9]{40}"),
    token("scaleway-access-key", r"SCW[A-Z0-9]{17}", confidence=0.9),
    token("exoscale-key", r"EXO[a-f0-9]{24}"),
    token("planetscale-token", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,64}"),
    token("supabase-token", r"sbp_[a-f0-9]{40}"),
    token("supabase-key", r"sb_secret_[A-Za-z0-9_-]{22,40}"),
    token("neon-key", r"napi_[a-z0-9]{60,80}"),
    token("xata-key", r"xau_[A-Za-z0-9]{32,44}"),
    token("cockroach-key", r"CCDB1_[A-Za-z0-9]{22}_[A-Za-z0-9]{40}"),
    token("turbopuffer-key", r"tpuf_[A-Za-z0-9]{32}"),
    token("aiven-token", r"AVNS_[A-Za-z0-9_-]{19}"),
    token("terraform-token", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}"),
    token("vault-token", r"hv[sbr]\.[A-Za-z0-9_-]{24,300}"),
    token(
        "vault-legacy-token",
        r"[sbr]\.(?:CAES[A-Za-z0-9_-]{60,140}|[A-Za-z0-9]{24})",
        confidence=0.75,
        validator=last_part(24, least_kinds=3),
    ),
    token("pulumi-token", r"pul-[a-f0-9]{40}"),
    token("scalingo-token", r"tk-us-[A-Za-z0-9_-]{48}"),
    token("render-key", r"rnd_[A-Za-z0-9]{28,40}"),
    token("doppler-token", r"dp\.(?:ct|pt|sa|scim|audit|st(?:\.[a-z0-9_-]{2,35})?)\.[A-Za-z0-9]{40,64}"),
    token("infisical-token", r"st\.[a-f0-9]{24}\.[a-f0-9]{32}\.[a-f0-9]{32}"),
    token("infracost-token", r"ico-[A-Za-z0-9]{32}", left=_STANDS_ALONE),
    token("prefect-token", r"pnu_[A-Za-z0-9]{36}"),
    token("prefect-bot-token", r"pnb_[A-Za-z0-9]{36}"),
    token("tailscale-key", r"tskey-[a-z]{3,12}-[A-Za-z0-9_-]{20,80}"),
    token("netbird-token", r"nbp_[A-Za-z0-9]{36}"),
    token("ngrok-token", r"[12][A-Za-z0-9]{26}_[A-Za-z0-9]{20,22}", confidence=0.92),
    token("databricks-token", r"(?:dapi|dkea)[a-f0-9]{32}(?:-[0-9])?"),
    token("dbt-token", r"dbt[csu]_[A-Za-z0-9_-]{36,64}"),
    token("openshift-token", r"sha256~[A-Za-z0-9_-]{43}"),
    token("bedrock-key", r"ABSK[A-Za-z0-9+/]{109,269}={0,2}"),
    token("yandex-key", r"AQVN[A-Za-z0-9_-]{35,38}"),
    token("yandex-secret", r"YC[A-Za-z0-9][A-Za-z0-9_-]{37}"),
    token("yandex-iam-token", r"t1\.[A-Z0-9a-z_-]{4,800}={0,2}\.[A-Z0-9a-z_-]{86}={0,2}"),
    token("yandex-oauth-token", r"y[0-3]_[A-Za-z0-9_-]{55,64}"),
    # models
    token("openai-key", r"sk-(?:[A-Za-z0-9_-]{4,110})?T3BlbkFJ[A-Za-z0-9_-]{20,100}", left=ANYWHERE),
    token("openai-project-key", r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{100,180}", confidence=0.97),
    token("openai-like-key", r"sk-(?:[a-f0-9]{32}|[A-Za-z0-9]{48})", confidence=0.95),
    token("anthropic-key", r"sk-ant-(?:api|oat|ort|sid)[0-9]{2}-[A-Za-z0-9_-]{86,93}AA"),
    token("anthropic-admin-key", r"sk-ant-admin[0-9]{2}-[A-Za-z0-9_-]{93}AA"),
    token("huggingface-token", r"hf_[A-Za-z]{34}"),
    token("huggingface-organization-token", r"api_org_[A-Za-z]{34}"),
    token("groq-key", r"gsk_[A-Za-z0-9]{52}"),
    token("perplexity-key", r"pplx-[A-Za-z0-9]{48,64}"),
    token("replicate-token", r"r8_[A-Za-z0-9]{37,40}"),
    token("xai-key", r"xai-[A-Za-z0-9]{60,100}"),
    token("openrouter-key", r"sk-or-(?:v[0-9]-)?[a-f0-9]{64}"),
    token("nvidia-api-key", r"nvapi-[A-Za-z0-9_-]{60,80}"),
    token("langchain-key", r"ls__[a-f0-9]{32}"),
    token("context7-key", r"ctx7sk-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    token("langsmith-key", r"lsv2_(?:pt|sk)_[a-f0-9]{32}(?:_[a-f0-9]{10})?"),
    token("langfuse-key", r"[sp]k-lf-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    token("tavily-key", r"tvly-(?:dev-|prod-)?[A-Za-z0-9_-]{30,64}"),
    token("firecrawl-key", r"fc-[a-f0-9]{32}", left=_STANDS_ALONE),
    token("jina-key", r"jina_[A-Za-z0-9_-]{55,70}"),
    token("voyage-key", r"pa-[A-Za-z0-9_-]{43}", confidence=0.9),
    token("pinecone-token", r"pcsk_[A-Za-z0-9]{5,6}_[A-Za-z0-9]{60,70}"),
    token("fireworks-key", r"fw_[A-Za-z0-9]{22,24}"),
    token("friendli-token", r"flp_[A-Za-z0-9]{46}"),
    token("cerebras-key", r"csk-[a-z0-9]{48}"),
    token("elevenlabs-token", r"sk_[a-f0-9]{48}"),
    token("together-token", r"tgp_v1_[A-Za-z0-9_-]{43}"),
    token("novita-key", r"sk_[A-Za-z0-9_-]{43}", confidence=0.9),
    token("brave-search-key", r"BSA[A-Za-z0-9_-]{28}"),
    token("apify-token", r"apify_(?:api|proxy)_[A-Za-z0-9]{34,40}"),
    token("llama-cloud-key", r"llx-[A-Za-z0-9]{48}"),
    token("cursor-key", r"(?:key|crsr)_[a-f0-9]{64}"),
    token("modal-token", r"a[ks]-[A-Za-z0-9]{22}", confidence=0.75),
    token("runpod-key", r"rpa_[A-Z0-9]{40,48}[A-Za-z0-9]{0,6}"),
    token("retell-key", r"key_[a-f0-9]{28}", confidence=0.85),
    token("wandb-v1-key", r"wandb_v1_[A-Za-z0-9]{60,90}"),
    # money
    token("stripe-key", r"[rs]k_(?:live|test|prod)_[A-Za-z0-9]{24,247}", left=NOT_ALNUM),
    token("stripe-webhook-secret", r"whsec_[A-Za-z0-9+/=_-]{32,100}"),
    token("square-token", r"(?:sandbox-)?sq0(?:atp|atb|csp|csb|idp|idb)-[A-Za-z0-9_-]{22,60}"),
    token("square-access-token", r"EAAA[A-Za-z0-9+/=_-]{60}"),
    token("omise-key", r"skey_(?:live|test)_[a-z0-9]{19}"),
    token("maxmind-key", r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"),
    token("razorpay-key", r"rzp_(?:live|test)_[A-Za-z0-9]{14,24}"),
    token("paystack-key", r"[sp]k_(?:live|test)_[a-f0-9]{40}", confidence=0.99, left=NOT_ALNUM),
    token("flutterwave-key", r"FLW(?:SEC|PUB)K(?:_TEST)?-[a-f0-9]{12,36}"),
    token("braintree-token", r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}"),
    token(
        "plaid-token", r"access-(?:sandbox|development|production)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"
    ),
    token("mollie-key", r"(?:live|test)_[A-Za-z0-9]{30}", confidence=0.92, left=r"(?:^|[^A-Za-z0-9_-])"),
    token("checkout-com-key", r"[sp]k_(?:sbox_)?[a-z0-9]{26,27}[a-z0-9*#$=]", confidence=0.85),
    token("adyen-key", r"AQE[a-z]hm[A-Za-z0-9+/=_-]{80,400}"),
    token("gocardless-token", r"live_[A-Za-z0-9_=-]{40}", left=NOT_ALNUM),
    token("lob-key", r"(?:live|test)_(?:pub_)?[a-f0-9]{31,35}", confidence=0.95, left=NOT_ALNUM),
    token("paddle-key", r"pdl_(?:live|sdbx)_apikey_[a-z0-9]{26}_[A-Za-z0-9]{22}_[A-Za-z0-9]{3}"),
    token("polar-token", r"polar_(?:oat|pat|rst)_[A-Za-z0-9_-]{36,60}"),
    token("shippo-token", r"shippo_(?:live|test)_[a-f0-9]{40}"),
    token("easypost-key", r"EZ[AT]K[A-Za-z0-9]{54}"),
    token("duffel-token", r"duffel_(?:live|test)_[A-Za-z0-9_=-]{43}"),
    token("shopify-token", r"shp(?:at|ca|pa|ss)_[A-Za-z0-9]{32,38}"),
    token("shopify-partner-token", r"(?:prtapi|atkn|shptka|shpua)_[a-f0-9]{32}"),
    # messages and mail
    token("slack-bot-token", r"xoxb-[0-9]{8,14}-[0-9]{8,14}[A-Za-z0-9-]{10,80}", validator=last_part(10)),
    token("slack-user-token", r"xox[pe]-(?:[0-9]{8,14}-){2,3}[A-Za-z0-9-]{24,72}", validator=last_part(24)),
    token("slack-legacy-token", r"xox[aosr]-(?:[0-9]-)?[A-Za-z0-9-]{14,130}", validator=last_part(10)),
    token("slack-configuration-token", r"xoxe(?:\.xox[bp])?-[0-9]-[A-Za-z0-9]{100,250}"),
    token("slack-cookie-token", r"xox[cd]-[A-Za-z0-9%_-]{40,300}"),
    token("slack-app-token", r"xapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{8,14}-[a-f0-9]{40,70}"),
    token("sendgrid-key", r"SG\.[A-Za-z0-9_=-]{16,26}\.[A-Za-z0-9_=-]{39,50}"),
    token("mailgun-key", r"(?:pub)?key-[a-f0-9]{32}"),
    token("mandrill-key", r"md-[A-Za-z0-9_-]{22}", confidence=0.85),
    token("mailersend-key", r"mlsn\.[a-f0-9]{64}"),
    token("resend-key", r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}"),
    token("sendinblue-key", r"xkeysib-[a-f0-9]{64}(?:-[A-Za-z0-9]{16})?"),
    token("brevo-smtp-key", r"xsmtpsib-[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    token("klaviyo-key", r"pk_[a-f0-9]{34}"),
    token("telegram-token", r"[0-9]{8,10}:A[A-Za-z][A-Za-z0-9_-]{32,33}"),
    token("twilio-key", r"SK[a-f0-9]{32}", confidence=0.9),
    token("twilio-account", r"AC[a-f0-9]{32}", confidence=0.85),
    token("telnyx-key", r"KEY[A-F0-9]{32}_[A-Za-z0-9]{22}"),
    token("plivo-auth-id", r"MA[A-Z0-9]{18}", confidence=0.75),
    token("pubnub-secret", r"sec-c-[A-Za-z0-9+/=]{40,60}"),
    token("pubnub-key", r"[ps]ub-c-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}", confidence=0.9),
    token("ably-key", r"[A-Za-z0-9]{6}\.[A-Za-z0-9_-]{6}:[A-Za-z0-9_-]{43}", confidence=0.95),
    token("pushbullet-token", r"o\.[A-Za-z0-9]{32}", confidence=0.92, left=_STANDS_ALONE),
    token("typeform-token", r"tfp_[A-Za-z0-9_.=-]{40,64}"),
    token("facebook-token", r"EAA[A-Z][A-Za-z0-9]{40,400}"),
    token("instagram-token", r"IG(?:QV|AA)[A-Za-z0-9_-]{90,300}"),
    token("twitter-bearer", r"A{20}[A-Za-z0-9%_-]{40,160}", validator=many_kinds),
    token("linkedin-token", r"AQ[UVX][A-Za-z0-9_-]{80,400}", confidence=0.9),
    token("vk-token", r"vk1\.a\.[A-Za-z0-9_-]{80,240}"),
    token("cal-com-key", r"cal_(?:live|test)_[A-Za-z0-9]{32}", left=NOT_ALNUM),
    token("hubspot-token", r"pat-(?:na|eu|ap)[0-9]-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    token("intercom-token", r"dG9r[A-Za-z0-9_=]{56}"),
    token("zoho-token", r"1000\.[a-f0-9]{32}\.[a-f0-9]{32}"),
    # monitoring
    token("grafana-token", r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
    token("grafana-cloud-token", r"glc_[A-Za-z0-9+/=_-]{32,400}"),
    token("grafana-api-key", r"eyJrIjoi[A-Za-z0-9+/=_-]{60,400}"),
    token("newrelic-key", r"NR(?:AK|AA|JS|II|IQ|RA|SP)-[A-Za-z0-9_-]{19,42}"),
    token("newrelic-license-key", r"(?:[a-z]{2}[0-9]{2}x{2,6})?[a-f0-9]{26,36}(?:FFFF)?NRAL"),
    token("sentry-org-token", r"sntrys_eyJ[A-Za-z0-9+/=]{40,400}_[A-Za-z0-9+/]{43}"),
    token("sentry-user-token", r"sntryu_[a-f0-9]{64}"),
    token("dynatrace-token", r"dt0[a-z][0-9]{2}\.[A-Za-z0-9]{24}\.[A-Z0-9]{64}"),
    token("honeycomb-ingest-key", r"hc[abcx]i[ck]_[a-z0-9]{58,62}"),
    token("logfire-token", r"pylf_v[0-9]_[a-z]{2}_[A-Za-z0-9]{40,64}"),
    token("axiom-token", r"xa[ap]t-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    token("posthog-key", r"ph[xs]_[A-Za-z0-9]{40,48}"),
    token("uptimerobot-key", r"[um][0-9]{6,9}-(?:[0-9]{6,9}-)?[a-f0-9]{24}"),
    token("statsig-key", r"(?:secret|console)-[A-Za-z0-9]{40,50}", confidence=0.95, left=NOT_ALNUM),
    # tools
    token("postman-key", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    token("postman-collection-key", r"PMAT-[A-Z0-9]{26}"),
    token("linear-key", r"lin_(?:api|oauth)_[A-Za-z0-9]{40,64}"),
    token("notion-token", r"ntn_[0-9]{11}[A-Za-z0-9]{35}"),
    token("notion-legacy-secret", r"secret_[A-Za-z0-9]{43}"),
    token("atlassian-token", r"AT[AC]TT3[A-Za-z0-9_=-]{60,250}"),
    token("bitbucket-app-password", r"ATBB[A-Za-z0-9]{24,36}(?:[A-F0-9]{8})?"),
    token("trello-user-token", r"ATTA[a-f0-9]{64,72}"),
    token("asana-token", r"[12]/[0-9]{14,18}(?:/[0-9]{14,18})?:[a-f0-9]{32}"),
    token("clickup-token", r"pk_[0-9]{5,9}_[A-Z0-9]{32}"),
    token("shortcut-token", r"sct_(?:rw|ro)_[a-z0-9]{4,16}_[A-Za-z0-9_-]{40,44}"),
    token("figma-token", r"fig[dorup]_[A-Za-z0-9_-]{40,60}"),
    token("canva-secret", r"cnvca[A-Za-z0-9_-]{42,60}"),
    token("readme-key", r"rdme_[a-z0-9]{70}"),
    token("contentful-token", r"CFPAT-[A-Za-z0-9_-]{43}"),
    token("sanity-token", r"sk[A-Za-z0-9]{178}", confidence=0.95),
    token("octopus-key", r"API-[A-Z0-9]{26,32}", confidence=0.85, left=_STANDS_ALONE),
    token("frameio-token", r"fio-u-[A-Za-z0-9_=-]{64}"),
    token("launchdarkly-sdk-key", r"(?:api|sdk|mob)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    token("flagsmith-key", r"ser\.[A-Za-z0-9]{22}"),
    token("configcat-key", r"configcat-sdk-[0-9]/[A-Za-z0-9_-]{22}/[A-Za-z0-9_-]{22}"),
    token("growthbook-key", r"secret_(?:admin|readonly|user)_[A-Za-z0-9]{40,48}"),
    token("adafruit-io-key", r"aio_[A-Za-z0-9]{28}"),
    token("airtable-token", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    token("defined-networking-key", r"dnkey-[A-Za-z0-9_=-]{60,90}"),
    token("settlemint-token", r"sm_[aps]at_[A-Za-z0-9]{16}"),
    token("intra42-secret", r"s-s4t2(?:ud|af)-[a-f0-9]{64}"),
    token("onepassword-account-token", r"ops_eyJ[A-Za-z0-9+/=_-]{200,}"),
    token("age-secret-key", r"AGE-SECRET-KEY-1[A-Z0-9]{58}", validator=lambda _: True),
    token("adobe-secret", r"p8e-[A-Za-z0-9_-]{32,40}"),
    token("dropbox-token", r"sl\.(?:u\.)?[A-Za-z0-9_=-]{100,}"),
    token("pixie-key", r"px-(?:api|dep)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    token("appsync-key", r"da2-[a-z0-9]{26}"),
    token("dependency-track-key", r"odt_[A-Za-z0-9]{32,48}"),
    token("twitch-stream-key", r"live_[0-9]{6,12}_[A-Za-z0-9]{30}", left=NOT_ALNUM),
    token("stackhawk-key", r"hawk\.[A-Za-z0-9_-]{20}\.[A-Za-z0-9_-]{20}"),
    token("mapbox-token", r"[sp]k\.[A-Za-z0-9]{50,120}\.[A-Za-z0-9_-]{22}"),
    token("mapbox-temporary-token", r"[ts]k\.eyJ[A-Za-z0-9_-]{20,200}\.[A-Za-z0-9_-]{22}"),
    token("locationiq-key", r"pk\.[a-f0-9]{32}"),
    token("harness-token", r"[ps]at\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),
    token("clickhouse-cloud-key", r"4b1d[A-Za-z0-9]{38}"),
    token("jenkins-encrypted-secret", r"AQAAABAAAA[A-Za-z0-9+/]{20,400}={0,2}", confidence=0.9),
    token("buildkite-token", r"bkua_[a-f0-9]{40}"),
    token("circleci-token", r"CCI(?:PAT|PRJ)_[A-Za-z0-9]{10,30}_[a-f0-9]{40}"),
    token("bitrise-token", r"bitpat_[A-Za-z0-9_-]{60,90}"),
    token("sonar-token", r"sq[apu]_[A-Za-z0-9]{40}"),
    token("snyk-token", r"snyk_(?:uat|sat)\.[a-z0-9]{8}\.[A-Za-z0-9_.-]{60,200}"),
    token("deepsource-token", r"dsp_[a-f0-9]{40}"),
    token(
        "authress-key",
        r"(?:sc|ext|scauth|authress)_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.(?:acc)[_-][A-Za-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120}",
    ),
    token("stytch-secret", r"secret-(?:live|test)-[A-Za-z0-9_=-]{36}"),
    token("workos-key", r"sk_(?:live|test|staging)?_?[A-Za-z0-9]{60,90}", confidence=0.9),
    token("descope-key", r"K[23][A-Za-z0-9]{26}:[A-Za-z0-9]{40,64}", confidence=0.9),
    token("flyway-license", r"FL01[A-Za-z0-9]{40,400}"),
    token("thunderstore-token", r"tss_[A-Za-z0-9]{36}"),
    token("ubidots-token", r"BBFF-[A-Za-z0-9]{30}"),
    token("persona-key", r"persona_(?:production|sandbox)_[a-f0-9-]{36}"),
    token("riot-key", r"RGAPI-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    token("retool-token", r"retool_[A-Za-z0-9]{30,60}"),
    token("truenas-key", r"(?:[0-9]{1,3})-[A-Za-z0-9]{64}"),
    token("vault-batch-token", r"b\.AAAAA[A-Za-z0-9_-]{90,300}", left=NOT_ALNUM),
    token("azure-search-key", r"[A-Za-z0-9]{42}AzSe[A-D][A-Za-z0-9]{5}"),
    token("azure-storage-signed-key", r"[A-Za-z0-9+/]{76}\+ASt[A-Za-z0-9+/]{6}(?:==)?"),
    token("azure-function-key", r"[A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{6}[AQgw]=="),
    token("azure-cosmos-key", r"[A-Za-z0-9+/]{76}ACDb[A-Za-z0-9+/]{5}[AQgw]=="),
    token(
        "azure-openai-key", r"[A-Za-z0-9]{52}JQQJ9(?:9|D)[A-Z0-9][A-L][A-Za-z0-9]{16}[A-Za-z][A-Za-z0-9]{7}(?:[A-Za-z0-9]{4})?"
    ),
)
