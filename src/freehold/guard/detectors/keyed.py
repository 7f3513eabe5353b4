"""Tokens without a mark of their own, known by their issuer's name before them: `DATADOG_API_KEY=` and 32 hexadecimal digits.

Three things must agree: the issuer's name, a word for a credential after it (key, token, secret …), and a value of the alphabet
and length the issuer documents. The table has a line for each shape, then the issuers that use it.
"""

from freehold.guard.detectors.detector import ASSIGN, SPACE, Detector
from freehold.guard.detectors.examples import shaped
from freehold.guard.detectors.validators import all_of, marked, names_secret

_NOUN = r"(?:key|token|secret|passw|pwd|auth|cred|login|licen[cs]e|bearer|signature|pat\b|dsn)"
_GAP = r"[A-Za-z0-9_.\- \"'\[\]]{0,24}?"
_SAID = rf"(?:{ASSIGN}|{SPACE}{{1,3}}(?:is:?{SPACE}{{1,3}})?[\"'`]?)"  # `--heroku-api-key x`, "my Heroku key is x"
_UUID = "-".join(f"[0-9a-fA-F]{{{digits}}}" for digits in (8, 4, 4, 4, 12))
SHORT_WORD = 5  # a name with fewer letters may be a part of another word


def keyed(issuer: str, shape: str, *, words: str = "") -> Detector:
    """A value of `shape` after the name of `issuer`; `words` where it goes by more names than one."""
    names = (words or issuer.replace("-", "[-_. ]?")).split("|")
    left = "(?:^|[^A-Za-z])" if min(map(len, names)) < SHORT_WORD else ""
    value = shaped(shape)
    name = shaped(names[0])
    return Detector(
        id=f"{issuer}-key",
        left=left,
        before=rf"(?i:(?:{'|'.join(names)}){_GAP}{_NOUN}[A-Za-z0-9_.\-]{{0,16}}){_SAID}",
        pattern=shape,
        after=r"(?:[^A-Za-z0-9_+/=-]|$)",
        confidence=0.93,
        context=names_secret,
        validator=all_of(marked, _has_two_kinds),
        must_match=(f"{name.upper()}_API_KEY={value}\n", f'"{name}Token": "{value}"', f"my {name} key is {value}."),
        must_not_match=(f"{name}_KEY={value[:-3]}", f"{name.upper()}_KEY={value[:1] * len(value)}", f"other={value}"),
    )


def _has_two_kinds(value: bytes) -> bool:
    """Letters and digits, or letters of both sizes, or digits alone: not a word."""
    return not (value.islower() or value.isupper()) or any(48 <= byte <= 57 for byte in value)


# shape, then who issues such keys
_ISSUERS = (
    (
        "[a-f0-9]{32}",
        "airbrake algolia amplitude assemblyai aviationstack axiom bugsnag clarifai currencylayer elevenlabs"
        " fixer flickr fossa fullcontact ipgeolocation ipstack kakao lastfm logdna mailerlite mailjet"
        " mixpanel namecheap newsapi opencage openweathermap positionstack raygun recurly rollbar scraperapi shipstation"
        " shodan-io spotify themoviedb trello weatherbit weatherstack zomato bitly crowdin "
        " freshdesk getresponse helpscout jotform lokalise mediastack musixmatch"
        " pipedream riot-games screenshotlayer serpstack smartystreets statuscake sendpulse userstack vatlayer youneedabudget"
        " azure-cognitive bing-search ocp-apim-subscription zerobounce",
    ),
    ("[a-f0-9]{40}", "circleci deepgram gitea sendbird serper sparkpost todoist wandb zenrows ghostery hunter-io gitter"),
    ("[a-f0-9]{64}", "linode onelogin semgrep serpapi virustotal webflow codeclimate discord"),
    (_UUID, "appsignal braze coinbase-commerce guardian-api clicksend coinapi coinmarketcap exa-ai loggly opsgenie pinecone"),
    (
        _UUID,
        "postmark railway shortcut sinch snyk squarespace statuspage transferwise victorops browserless heroku"
        " scaleway splunk-hec",
    ),
    ("[A-Za-z0-9]{20}", "papertrail eventbrite codacy finnhub"),
    ("[A-Za-z0-9]{22}", "travis ifttt-webhook instana"),
    ("[A-Za-z0-9]{24}", "etsy gandi vercel "),
    ("[A-Za-z0-9]{25}", "comet-ml twitter-consumer"),
    ("[A-Za-z0-9]{32}", "ai21 codecov coveralls drone giphy logz mistral polygon-io segment ticketmaster tomtom zerotier"),
    ("[A-Za-z0-9]{40}", "cohere launchdarkly zendesk netlify duo-secret jumpcloud qiniu"),
    ("[A-Za-z0-9]{48}", "foursquare onesignal scalyr"),
    ("[A-Za-z0-9]{50}", "dwolla rapidapi twitter-access"),
    ("[A-Za-z0-9]{64}", "bitbucket-secret confluent hetzner binance kucoin sumologic moralis webex"),
    ("[A-Za-z0-9_-]{32}", "adafruit alchemy fastly "),
    ("[A-Za-z0-9_-]{43}", "contentful unsplash here-maps wit-ai"),
)

KEYED = (
    *(keyed(name, shape) for shape, names in _ISSUERS for name in names.split()),
    keyed("abuseipdb", "[a-f0-9]{80}"),
    keyed("adobe", "[a-f0-9]{32}"),
    keyed("airtable-legacy", "key[A-Za-z0-9]{14}", words="airtable"),
    keyed("beamer", "b_[A-Za-z0-9_=-]{44}"),
    keyed("alibaba-secret", "[A-Za-z0-9]{30}", words="alibaba|aliyun|ali[-_]?cloud"),
    keyed("alpha-vantage", "[A-Z0-9]{16}"),
    keyed("asana", "(?:[0-9]{16}|[a-z0-9]{32})"),
    keyed("auth0", "[A-Za-z0-9_-]{64}"),
    keyed("bitbucket", "[A-Za-z0-9_=-]{32,64}"),
    keyed("bittrex", "[a-f0-9]{32}"),
    keyed("cloudant", "(?:[a-f0-9]{64}|[a-z]{24})"),
    keyed("cloudflare", "(?:[a-f0-9]{37}|[A-Za-z0-9_-]{40})", words="cloudflare|cf[-_]api"),
    keyed("cloudinary", "[A-Za-z0-9_-]{27}"),
    keyed("coinbase", "[A-Za-z0-9_-]{64}"),
    keyed("datadog", "(?:[a-f0-9]{40}|[a-f0-9]{32})", words="datadog|dd[-_](?:api|app)"),
    keyed("discord-client", "(?:[0-9]{17,19}|[A-Za-z0-9_-]{32})", words="discord"),
    keyed("dropbox", "[a-z0-9]{15}"),
    keyed("etherscan", "[A-Z0-9]{34}"),
    keyed("facebook", "[a-f0-9]{32}", words="facebook|fb"),
    keyed("finicity", "(?:[a-f0-9]{32}|[a-z0-9]{20})"),
    keyed("freshbooks", "[a-f0-9]{64}"),
    keyed("gcp-maps-signing", "[A-Za-z0-9_-]{27}=", words="google|gcp|maps[-_]url"),
    keyed("geocodio", "[a-f0-9]{39}"),
    keyed("ghost-admin", "[a-f0-9]{24}:[a-f0-9]{64}"),
    keyed("gitguardian", "[A-F0-9]{72}|[a-f0-9]{40}[A-Za-z0-9]{24}", words="gitguardian"),
    keyed("github-legacy", "[a-f0-9]{40}", words="github|gh[-_]"),
    keyed("gitlab-legacy", "[A-Za-z0-9_-]{20}", words="gitlab"),
    keyed("honeycomb", "(?:[a-f0-9]{32}|[A-Za-z0-9]{22})"),
    keyed("ibm-cloud", "[A-Za-z0-9_-]{44}", words="ibm|bluemix|cloud|iam"),
    keyed("ibm-cos-hmac", "[a-f0-9]{48}", words="ibm[-_]?cos|cos[-_]?hmac|ibm[-_]?cos[-_]?hmac|cos|secret[-_]?access"),
    keyed("hubspot", _UUID),
    keyed("infura", "[a-f0-9]{32}"),
    keyed("intercom", "[A-Za-z0-9_=-]{60}"),
    keyed("ipdata", "[a-f0-9]{56}"),
    keyed("ipinfo", "[a-f0-9]{14}"),
    keyed("jenkins", "(?:11[a-f0-9]{32}|[a-f0-9]{32})"),
    keyed("jfrog", "(?:[A-Za-z0-9]{73}|[a-z0-9]{64})", words="jfrog|artifactory|bintray|xray"),
    keyed("kraken", "[A-Za-z0-9+/]{80,90}={0,2}"),
    keyed("lacework", "_[a-f0-9]{32}"),
    keyed("linkedin", "(?:[a-z0-9]{14}|[A-Za-z0-9]{16})", words="linkedin|linked[-_]in"),
    keyed("looker", "(?:[a-z0-9]{20}|[a-z0-9]{24})"),
    keyed("mattermost", "[a-z0-9]{26}"),
    keyed("meraki", "[a-f0-9]{40}"),
    keyed("messagebird", f"(?:[A-Za-z0-9]{{25}}|{_UUID})"),
    keyed("mongodb-atlas", _UUID, words="atlas|mongodb"),
    keyed("new-relic-insights", "(?:[A-Za-z0-9_-]{32}|[a-f0-9]{40})", words="new[-_. ]?relic|insights[-_]?(?:query|insert)"),
    keyed("nytimes", "[A-Za-z0-9_=-]{32}", words="nytimes|new[-_. ]?york[-_. ]?times|newyorktimes"),
    keyed("okta", "00[A-Za-z0-9_-]{40}"),
    keyed("pagerduty", "(?:u\\+)?[A-Za-z0-9_-]{18,20}", words="pagerduty|pager[-_]duty|pd[-_]api"),
    keyed("paypal", "[AE][A-Za-z0-9_-]{79}"),
    keyed("plaid", "(?:[a-f0-9]{30}|[a-z0-9]{24})"),
    keyed("private-ai", "[a-z0-9]{32}"),
    keyed("pushover", "[a-z0-9]{30}"),
    keyed("sendgrid-legacy", "[A-Za-z0-9_-]{69}", words="sendgrid"),
    keyed("sentry", "[a-f0-9]{64}"),
    keyed("smartsheet", "[A-Za-z0-9]{37}"),
    keyed("softlayer", "[a-z0-9]{64}", words="softlayer|soft[-_]layer|sl"),
    keyed("sonar", "[A-Za-z0-9]{40}"),
    keyed("sourcegraph-legacy", "[A-Fa-f0-9]{40}", words="sourcegraph"),
    keyed("strava", "[a-f0-9]{40}"),
    keyed("together", "[a-f0-9]{64}"),
    keyed("trello-token", "(?:ATTA[A-Za-z0-9]{72}|[a-f0-9]{64})", words="trello"),
    keyed("twilio-auth", "[a-f0-9]{32}", words="twilio"),
    keyed("twitch", "[a-z0-9]{30}"),
    keyed("twitter-secret", "[A-Za-z0-9]{45}(?:[A-Za-z0-9]{5})?", words="twitter"),
    keyed("vonage", "[A-Za-z0-9]{16}", words="vonage|nexmo"),
    keyed("vultr", "[A-Z0-9]{36}"),
    keyed("wakatime", _UUID),
    keyed("wechat-app", "[a-f0-9]{32}", words="wechat|weixin|wx[-_]?app"),
    keyed("yelp", "[A-Za-z0-9_-]{128}"),
    keyed("zoom", "[A-Za-z0-9]{32,36}"),
)
