"""Plate maps that are refused by file and cell: broken ones, dates, negative doses, failed formulas."""

import re
from datetime import datetime, time, timedelta

import pytest
from openpyxl import Workbook
from plates_cases import excel, merged

from neuroseg.errors import DataError
from neuroseg.readers.plates.platemap import read_plate_map


def test_a_formula_without_its_value_is_named(tmp_path):
    merged(tmp_path / "map.xlsx", [["well", "treatment"], ["A1", "drug"], ["A2", "=B2"]])
    with pytest.raises(
        DataError, match=r"map\.xlsx:Sheet:B3: the formula comes without its value; open the file"
    ):
        read_plate_map(tmp_path / "map.xlsx")


BROKEN = {
    "no heads": ("A1,drug\nB2,control\n", "no plate map"),
    "heads of another language": (
        "Plan de lundi\n\nPuits;Traitement;Quantité\nA1;Témoin;0\n",
        "its heads are Puits, Traitement, Quantité, and those known are well .*, treatment, dose",
    ),
    "one head of another language": (
        "Well;Traitement;Dose\nA1;Témoin;0\n",
        "lacks the column treatment; its heads are Well, Traitement, Dose, and",
    ),
    "heads of other matters": (
        f"{'x' * 40},b,c,d,e,f,g,h,i\n",
        rf"its heads are {'x' * 27}\.\.\., b, c, d, e, f, g, h, \.\.\., and those known",
    ),
    "empty": ("", "no plate map; it needs"),
    "doses alone": ("µM,1,2\nA,10,20\n", "no plate map"),
    "heads alone": ("well,treatment\n", "no plate map; it needs"),
    "twice": ("well,treatment\nA1,drug\nA01,drug\n", "map.csv:3: the well A1 occurs twice"),
    "twice on a plate": ("plate,well,treatment\nP,A1,drug\nP,a1,none\n", "map.csv:3: the well A1 of plate P"),
    "twice on a plate of two spellings": (
        "plate,well,treatment\nP1,A1,a\np1,A1,b\n",
        "map.csv:3: the well A1 of plate p1 occurs twice",
    ),
    **{
        f"two tables: {name}": (
            f"{first}\nA,a,b\nB,c,\n\n{second}\nA,10,20\nB,5,\n",
            rf"map\.csv:{line}: two tables hold the well A1{plate}; write in the upper left corner of each, "
            r"or in a line above it, what it holds: Treatment, Dose \(µM\), or the name of its plate",
        )
        for name, (first, second, line, plate) in {
            "no titles": (",1,2", ",1,2", 6, ""),
            "no title of the second": ("Treatment,1,2", ",1,2", 6, ""),
            "no title of the first": (",1,2", "Plate 2,1,2", 6, " of plate Plate 2"),
            "a plate and no title": ("Plate 1,1,2", ",1,2", 6, ""),
            "two of treatments": ("Treatment,1,2", "Treatment,1,2", 6, ""),
            "one plate twice": ("P 1\n,1,2", "p1\n,1,2", 8, " of plate p1"),
        }.items()
    },
    "half a control in two spellings": (
        "well,treatment,control\nA1,DMSO,yes\nA2,dmso,\n",
        "'DMSO' is the control in some wells",
    ),
    "a decimal comma between commas": (
        "well,treatment,dose (nM)\nA1,drug,0,5\nA2,drug,1\n",
        "line 2, column 4: the line has more cells than there are heads; put cells with a separator",
    ),
    "a comma in a treatment": ("well,treatment\nA1,NGF, BDNF\n", "line 2, column 3: .* in quotes"),
    "half a control": ("well,treatment,control\nA1,a,yes\nA2,a,\n", "'a' is the control in some wells"),
    "an open quote": (
        'well,treatment\nA1,a\nA2,"b\nA3,c\n',
        r'map.csv:3: a quote \("\) is opened and not closed',
    ),
    "no word": ("well,treatment,control\nA1,a,maybe\n", "map.csv:2: control is 'maybe'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plate_map_is_refused_by_file_and_line(tmp_path, name):
    content, words = BROKEN[name]
    (tmp_path / "map.csv").write_text(content)
    with pytest.raises(DataError, match=words):
        read_plate_map(tmp_path / "map.csv")


DATES = {
    "1-5 as a date": (datetime(2026, 5, 1), "dd/mm/yyyy", "2026-05-01"),
    "1-5 as a date that is shown without its year": (datetime(2026, 5, 1), "d-mmm", "2026-05-01"),
    "a number as a date": (5, "yyyy-mm-dd", "1900-01-05"),
    "a date with a clock": (datetime(2026, 5, 1, 9, 30), "m/d/yy h:mm", "2026-05-01 09:30:00"),
    "1:10 as a clock": (time(1, 10), "h:mm", "01:10:00"),
    "1:1000 as a span": (timedelta(hours=17, minutes=40), "[h]:mm", "17:40:00"),
    "a text": ("1-May", "@", "1-May"),
    "a text with points": ("01.05.2026", "@", "01.05.2026"),
    "a text in German": ("01. Mai", "@", "01. Mai"),
    "a month and a year": ("Sep-15", "@", "Sep-15"),
}


@pytest.mark.parametrize(("cell", "wanted"), [("B2", "treatment"), ("C2", "dose"), ("D2", "unit")])
@pytest.mark.parametrize("name", DATES)
def test_a_date_in_place_of_a_dose_or_treatment_is_refused_by_its_cell(tmp_path, name, cell, wanted):
    value, form, said = DATES[name]
    book = Workbook()
    for row in (["well", "treatment", "dose", "unit"], ["A1", "drug", 1, "nM"], ["A2", "drug", 2, "nM"]):
        book.active.append(row)
    book.active[cell] = value
    book.active[cell].number_format = form
    book.save(tmp_path / "map.xlsx")
    words = rf"Sheet!{cell}: '{said}' is a date .* a {wanted} is wanted.*format the cell as text and type it"
    with pytest.raises(DataError, match=words):
        read_plate_map(tmp_path / "map.xlsx")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("well,treatment,dose\nA1,drug,2026-05-01\n", "line 2, column 3: '2026-05-01' is a date"),
        ("well,treatment,dose\nA1,a,01.05.2026\nA2,a,02.05.2026\n", "again; 1 more cells are like it"),
        (",1\nA,1-May\n", "line 2, column 2: '1-May' is a date .* a treatment"),
        ("treatment,1\nA,drug\n\ndose,1\nA,5/1/2026\n", "line 5, column 2: .* a dose"),
        *(
            (
                f"well,treatment,dose (nM)\nA1,drug,{dose}\n",
                rf"line 2, column 3: the dose '{re.escape(dose)}' is negative",
            )
            for dose in ("-5", "-0.5 nM", "−5 µM", "- 5", "-1e-3", "-6 (log)")
        ),
        ("treatment,1\nA,drug\n\ndose,1\nA,-6\n", "line 5, column 2: the dose '-6' is negative"),
    ],
)
def test_dates_and_negative_doses_of_a_csv_file_are_refused_by_their_cell(tmp_path, text, words):
    (tmp_path / "map.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_plate_map(tmp_path / "map.csv")


@pytest.mark.parametrize("text", ["#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?"])
@pytest.mark.parametrize(("cell", "wanted"), [("B2", "treatment"), ("C2", "dose")])
def test_a_formula_that_failed_is_refused_by_its_cell(tmp_path, text, cell, wanted):
    book = Workbook()
    for row in (["well", "treatment", "dose"], ["A1", "drug", 1], ["A2", "#1", 2]):
        book.active.append(row)
    book.active[cell] = text
    book.save(tmp_path / "map.xlsx")
    words = rf"Sheet!{cell}: the formula of this {wanted} failed \({re.escape(text)}\)"
    with pytest.raises(DataError, match=words):
        read_plate_map(tmp_path / "map.xlsx")


def test_dates_of_other_columns_and_what_only_resembles_one_are_let_be(tmp_path):
    rows = [
        ["plate", "well", "treatment", "dose", "seeded"],
        [datetime(2026, 5, 1), "A1", "May-Grünwald 1", "1-5", datetime(2026, 4, 30)],
        [datetime(2026, 5, 1), "A2", "5/1", "1:10", datetime(2026, 4, 30)],
        [datetime(2026, 5, 1), "A3", "Sept1", "-", None],
        [datetime(2026, 5, 1), "A4", "10-10-10", "-0", None],
    ]
    excel(tmp_path / "map.xlsx", Map=rows)
    found = read_plate_map(tmp_path / "map.xlsx")
    assert list(found.treatments.values()) == ["May-Grünwald 1", "5/1", "Sept1", "10-10-10"]
    assert {plate for plate, _ in found.treatments} == {"2026-05-01"}


def test_a_damaged_excel_file_is_named(tmp_path):
    (tmp_path / "map.xlsx").write_bytes(b"PK broken")
    with pytest.raises(DataError, match=r"map\.xlsx: the plate map cannot be read"):
        read_plate_map(tmp_path / "map.xlsx")


@pytest.mark.parametrize("name", ["map.xls", "map.ods", "map.csv"])
def test_spreadsheets_of_other_kinds_are_named_with_the_cure(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(DataError, match=r"this kind of spreadsheet is not read; save it as \.xlsx or CSV"):
        read_plate_map(tmp_path / name)
