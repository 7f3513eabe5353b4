"""Which policy the hook asks: the configuration's, or the file it is told."""

from freehold import config as configuration
from freehold.cli.hook import Options
from freehold.guard.policy_file import PolicyFile, PolicySource, parse
from freehold.policy_read import policy_path, read_policy


def policy_source(options: Options) -> PolicySource | None:
    """The policy to ask; None where the defaults hold. Raises ConfigError."""
    guard = configuration.load(options.config).guard
    named = options.policy or policy_path(guard.policy, configuration.find(options.config), configuration.home())
    return None if named is None else read_policy(named)


def policy_of(options: Options) -> PolicyFile:
    source = policy_source(options)
    return PolicyFile() if source is None else parse(source)
