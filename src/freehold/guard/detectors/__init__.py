"""Detectors as data: one file a kind, one line each in the table."""

from freehold.guard.detectors.commands import COMMANDS
from freehold.guard.detectors.connections import CONNECTIONS
from freehold.guard.detectors.contact import CONTACT
from freehold.guard.detectors.detector import Detector
from freehold.guard.detectors.generic import GENERIC
from freehold.guard.detectors.keyed import KEYED
from freehold.guard.detectors.keys import KEYS
from freehold.guard.detectors.money import MONEY
from freehold.guard.detectors.national import NATIONAL
from freehold.guard.detectors.prefixed import PREFIXED

DETECTORS: tuple[Detector, ...] = (
    *PREFIXED,  # credentials that name their issuer
    *KEYED,  # credentials after their issuer's name
    *KEYS,  # credentials of a shape of their own
    *CONNECTIONS,  # credentials in addresses
    *COMMANDS,  # credentials handed to programs
    *GENERIC,  # credentials by their context
    *MONEY,  # cards, accounts, wallets
    *CONTACT,  # e-mail, telephone, network addresses
    *NATIONAL,  # numbers of people
)
