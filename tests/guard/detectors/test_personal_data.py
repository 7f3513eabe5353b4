"""Personal data as people write it in many languages, and what looks like it and is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.findings import Direction
from freehold.guard import GuardConfig, StreamGuard
from tests.guard.playing import cut, said, strict_guard


def values(text: str) -> list[str]:
    found = strict_guard().check(text).findings
    return [text[f.start : f.end] for f in found if f.category == "personal_data"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Meine Telefonnummer lautet 0221 4567890.", ["0221 4567890"]),
        ("J'habite au 24 rue Victor Hugo, Lyon", ["rue Victor Hugo"]),
        ("Vivo en Calle Mayor 15, 28013 Madrid", ["Calle Mayor 15", "28013 Madrid"]),
        ("abito in Via Garibaldi 12, 20121 Milano", ["Via Garibaldi 12", "20121 Milano"]),
        ("Prinsengracht 263, 1016 GV Amsterdam", ["Prinsengracht 263", "1016 GV Amsterdam"]),
        ("mieszkam na ul. Długa 5", ["ul. Długa 5"]),
        ("wohnhaft Lindenstraße 14", ["Lindenstraße 14"]),
        ("Address: 742 Evergreen Terrace, Springfield, OR 97477", ["742 Evergreen Terrace", "OR 97477"]),
        ("née le 3 avril 1990", ["3 avril", "1990"]),
        ("Fecha de nacimiento: 5 de mayo de 1985", ["5", "mayo", "1985"]),
        ("Doğum tarihi: 12.05.1990", ["12.05.1990"]),
        ("numéro de sécurité sociale est 2 90 04 75 116 012 34.", ["2 90 04 75 116 012 34"]),
        ("Meu CPF é 529.982.247-25, meu celular (11) 98765-4321.", ["529.982.247-25", "11) 98765-4321"]),
        ("СНИЛС 112-233-445 95", ["112-233-445 95"]),
        ("身份证号 11010519491231002X", ["11010519491231002X"]),
        ("전화 010-1234-5678", ["010-1234-5678"]),
        ("ЕГН: 0126265094", ["0126265094"]),
        ("ΑΜΚΑ 22083311385", ["22083311385"]),
        ("ИНН клиента: 9521870835", ["9521870835"]),
        ("ІПН 0301757149", ["0301757149"]),
        ("ИИН 210119102966", ["210119102966"]),
        ("УНП 220384823", ["220384823"]),
        ("ЈМБГ: 2906026513290", ["2906026513290"]),
        ("תעודת זהות 522011030", ["522011030"]),
        ("رقم الهوية: 2396147114", ["2396147114"]),
        ("کد ملی 881-9829223", ["881-9829223"]),
        ("জাতীয় পরিচয়পত্র নম্বর 8359670537788", ["8359670537788"]),
        ("マイナンバー：7958 19732216", ["7958 19732216"]),
        ("身分證字號：E249369492", ["E249369492"]),
        ("統一編號 38076274", ["38076274"]),
        ("เลขประจำตัวประชาชน 8048631096640", ["8048631096640"]),
        ("паспорт: 4508 123456", ["4508 123456"]),
        ("дата рождения: 14.03.1987", ["14.03.1987"]),
        ("ημερομηνία γέννησης 14/03/1987", ["14/03/1987"]),
        ("تاريخ الميلاد: 14/03/1987", ["14/03/1987"]),
        ("出生日期：1987年3月14日", ["1987", "3", "14"]),
        ("τηλέφωνο: 2101234567", ["2101234567"]),
        ("name,ssn,card\nAnn,536-90-4399,4012888888881881\n", ["536-90-4399", "4012888888881881"]),
    ],
)
def test_found_in_the_words_of_the_country(text: str, expected: list[str]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "for i in range(1000000): x[i] = 3.14159265358979 * i",
        "version 12.4.1-rc2 of 2024-11-05, build 20241105",
        "ISBN 978-3-16-148410-0 costs $1,299.99 or 1.299,99 EUR",
        "2024-11-05T14:30:00.123Z INFO pid=48213 took 15321 ms, 1730817000123",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "12 + 30 = 42, 100 200 300 400, 1/3 of 99999999",
        "commit 59cca05, PR 12345, issue 67890, RFC 9112, ISO 27001",
        "In 2020 The New York Times Reported 12 Main Points",
        "Einstein was born in 1879; Mozart died in 1791",
        "0x7fffffffe3c0 in main () at test.c:12",
        "a phone with 128 GB, 6.1 inches and 5000 mAh",
        "line 1, column 20; Table 3.2; Chapter 5, page 100",
        "price: 1999, quantity: 12, total: 23988",
        "UUID 123e4567-e89b-12d3-a456-426614174000",
        "matrix [[1, 2, 3], [4, 5, 6]] and 1e-10",
        "01 02 03 04 05 06 07 08 09 10",
        "the card is red, the account is open, my passport is lost",
        "длинный список 7736050003 инноваций",
        "版本 22083311385，日期 14.03.1987",
        "sum 1,234,567,890 and 12,536,904,399",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert values(text) == []


@settings(max_examples=60)
@given(
    st.sampled_from(
        ("at 12 Main Street now", "in Via Roma 12 oggi", "Hauptstraße 12, Berlin", "12 bis, rue Victor Hugo", "350 5th Ave N")
    ),
    st.sampled_from(("", "In 2020 The Old ", "5 Rue ", "Via ", "N 12 ")),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_a_street_is_one_value_wherever_the_stream_is_cut(street: str, before: str, at: list[int]) -> None:
    whole = before + street
    expected = said(strict_guard("hyperscan"), [whole])
    for pieces in (cut(whole, at), list(whole)):
        assert said(strict_guard("hyperscan"), pieces) == expected
        assert said(strict_guard("re2"), pieces) == expected


def test_a_number_is_an_identifier_alone_only_where_nothing_stands_beside_it() -> None:
    assert values("M12345678") == ["M12345678"]
    assert values("part M12345678 fits") == []
    assert values("1700000000") == []  # a time


def test_an_address_at_a_documented_host_counts_by_its_name() -> None:
    assert values("kwabena.osei84@example.org") == ["kwabena.osei84@example.org"]
    assert values("your.name@example.com, john.doe@example.com, user1@example.net") == []


def test_names_are_off_until_the_operator_asks_for_them() -> None:
    text = "Dear Jane Miller, I am Dr. Paul Weber."
    assert StreamGuard(GuardConfig()).redact(text, Direction.REQUEST) == text
    shown = strict_guard().redact(text, Direction.REQUEST)
    assert not any(name in shown for name in ("Jane", "Miller", "Paul", "Weber"))
