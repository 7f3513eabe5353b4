"""Detectors as data: one file a kind, one line each in the table."""

from freehold.guard.detectors.alone import ALONE
from freehold.guard.detectors.birth import BIRTH
from freehold.guard.detectors.commands import COMMANDS
from freehold.guard.detectors.connections import CONNECTIONS
from freehold.guard.detectors.contact import CONTACT
from freehold.guard.detectors.detector import Detector
from freehold.guard.detectors.documents import DOCUMENTS
from freehold.guard.detectors.generic import GENERIC
from freehold.guard.detectors.health import HEALTH
from freehold.guard.detectors.keyed import KEYED
from freehold.guard.detectors.keys import KEYS
from freehold.guard.detectors.money import MONEY
from freehold.guard.detectors.national import NATIONAL
from freehold.guard.detectors.people import PEOPLE
from freehold.guard.detectors.phones import PHONES
from freehold.guard.detectors.postal import POSTAL
from freehold.guard.detectors.prefixed import PREFIXED
from freehold.guard.detectors.wallets import WALLETS

DETECTORS: tuple[Detector, ...] = (
    *PREFIXED,  # credentials that name their issuer
    *KEYED,  # credentials after their issuer's name
    *KEYS,  # credentials of a shape of their own
    *CONNECTIONS,  # credentials in addresses
    *COMMANDS,  # credentials handed to programs
    *GENERIC,  # credentials by their context
    *MONEY,  # cards and bank accounts
    *WALLETS,  # crypto-currencies
    *CONTACT,  # e-mail, network addresses
    *PHONES,
    *POSTAL,  # where people live
    *BIRTH,
    *HEALTH,
    *DOCUMENTS,  # passports, licences, vehicles, accounts
    *NATIONAL,  # numbers that states give to people
    *ALONE,  # a text that is one number
    *PEOPLE,  # names: off unless asked for
)
