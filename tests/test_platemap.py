"""Plate maps and wells: every form people and Excel write, joined to images however a well is written."""

import re
from datetime import datetime, time, timedelta
from unicodedata import normalize

import numpy as np
import pytest
import tifffile
import yaml
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from neuroseg import readers
from neuroseg.errors import DataError
from neuroseg.readers.plates.amounts import tidy_dose
from neuroseg.readers.plates.platemap import read_plate_map
from neuroseg.readers.plates.wells import well_at, well_name

PATTERN = r"(?P<plate>VID\d+)_(?P<well>[A-Pa-p]\d+)_(?P<field>\d+)_(?P<time>\d+d\d+h\d+m)"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        *(
            (text, "A1")
            for text in ("A1", "A01", "a1", "a001", " A1 ", "A-1", "A - 1", "A_01", "r01c01", "R1C1")
        ),
        *(
            ("P24", "P24"),
            ("r02c11", "B11"),
            ("AF48", "AF48"),
            ("r32c48", "AF48"),
            ("pool", "pool"),
            ("A0", "A0"),
        ),
    ],
)
def test_a_well_has_one_name_however_it_is_written(written, name):
    assert well_name(written) == name


@given(st.integers(1, 32), st.integers(1, 48))
def test_every_well_by_row_and_column_is_the_one_by_letter(row, column):
    assert (
        well_name(f"r{row:02}c{column:02}") == well_at(row, column) == well_name(well_at(row, column).lower())
    )


FORMS = {
    "comma": "well,treatment\nA1,control\nB2,drug\n",
    "semicolon": "well;treatment\nA1;control\nB2;drug\n",
    "tab": "well\ttreatment\nA1\tcontrol\nB2\tdrug\n",
    "bom and crlf": "\ufeffwell,treatment\r\nA1,control\r\nB2,drug\r\n",
    "upper case": "WELL,Treatment\nA1,control\nB2,drug\n",
    "lower case wells": "well,treatment\na1,control\nb2,drug\n",
    "padded wells": "well,treatment\nA01,control\nB02,drug\n",
    "operetta's wells": "well,treatment\nr01c01,control\nr02c02,drug\n",
    "signs without width": "\ufeffwell,treatment\nA1\u200b,control\n\u2060B2,\ufeffdrug\n",
    "blanks": "well , treatment\n A1 , control\nB2,  drug \n",
    "comments": "# plate 1\n# by me\nwell,treatment\nA1,control\n# lost: B1\nB2,drug\n",
    "a title line": "Plate map of Monday\n\nwell,treatment\nA1,control\nB2,drug\n",
    "empty lines": "well,treatment\n\nA1,control\n,\nB2,drug\n\n",
    "excel's separator line": "sep=;\nwell;treatment\nA1;control\nB2;drug\n",
    "decimal commas": "well;treatment;dose\nA1;control;0,0\nB2;drug;0,5\n",
    "other heads": "Well ID,Condition\nA1,control\nB2,drug\n",
    "heads with units": "well_position,compound (nM)\nA1,control\nB2,drug\n",
    "row and column": "Row,Column,Treatment\n1,1,control\n2,2,drug\n",
    "row letters": "row,col,treatment\nA,1,control\nB,2,drug\n",
    "quoted": '"well","treatment"\n"A1","control"\n"B2","drug"\n',
    "matrix": ",1,2\nA,control,\nB,,drug\n",
    "padded matrix": ";01;02\nA;control;\nB;;drug\n",
    "matrix with title": "Plate 1,,\n,1,2\nA,control,\nB,,drug\n",
    "matrix with corner": "<>,1,2,3\nA,control,,\nB,,drug,\n",
    "treatment and dose": "treatment,1,2\nA,control,\nB,,drug\n\ndose,1,2\nA,0,\nB,,10\n",
    "numbered rows": "#,Well,Treatment\n1,A1,control\n2,B2,drug\n",
    "a head behind a mark": "# lab map\n# Well;Treatment\nA1;control\n# lost: B1\nB2;drug\n",
    "a comment like the head": "# treatment,well\nwell,treatment\nA1,control\nB2,drug\n",
    "a marked corner": "#,1,2\nA,control,\nB,,drug\n",
    "a tab as the corner": "\t1\t2\nA\tcontrol\t\nB\t\tdrug\n",
    "treatment and another matter": "Treatment,1,2\nA,control,\nB,,drug\n\nSerum batch,1,2\nA,7,7\nB,7,7\n",
    "rows of a letter alone": "treatment,1,2\nA,control\nB,,drug\nC\nD\n\ndose,1,2\nA\nB,,10\n",
    "words of a row": "Treatment,,\n,1,2\na,control,\nb,,drug\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_plate_map_says_the_same(tmp_path, name):
    (tmp_path / "map.csv").write_bytes(FORMS[name].encode())
    assert read_plate_map(tmp_path / "map.csv").treatments == {(None, "A1"): "control", (None, "B2"): "drug"}


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_excels_encodings_are_read(tmp_path, encoding):
    (tmp_path / "map.txt").write_bytes("well\ttreatment\nA1\tWachstum für 3 µM\n".encode(encoding))
    assert read_plate_map(tmp_path / "map.txt").treatments == {(None, "A1"): "Wachstum für 3 µM"}


def excel(path, **sheets):
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)


def test_an_excel_file_is_read(tmp_path):
    rows = [["Well", "Treatment"], ["A01", "None"], ["B2", 1], [None, None], ["B3", None]]
    excel(tmp_path / "map.xlsx", Tabelle1=rows)
    found = read_plate_map(tmp_path / "map.xlsx").treatments
    assert found == {(None, "A1"): "None", (None, "B2"): "1", (None, "B3"): None}


def test_an_excel_file_of_the_plates_form_is_read_beside_a_sheet_of_notes(tmp_path):
    matrix = [[None, *range(1, 13)], ["A", "control", *[None] * 11], ["B", None, "drug", *[None] * 10]]
    excel(tmp_path / "map.xlsx", Notes=[["seen on Monday"]], Map=matrix)
    assert read_plate_map(tmp_path / "map.xlsx").treatments == {(None, "A1"): "control", (None, "B2"): "drug"}


def test_several_sheets_are_the_plates_that_they_are_named_after(tmp_path):
    rows = [["well", "treatment"], ["A1", "drug"]]
    excel(tmp_path / "map.xlsx", P1=rows, P2=rows)
    assert read_plate_map(tmp_path / "map.xlsx").treatments == {("P1", "A1"): "drug", ("P2", "A1"): "drug"}


def test_a_hidden_sheet_is_not_read(tmp_path):
    excel(
        tmp_path / "map.xlsx",
        Map=[["well", "treatment"], ["A1", "drug"]],
        old=[["well", "treatment"], ["A1", "x"]],
    )
    book = load_workbook(tmp_path / "map.xlsx")
    book["old"].sheet_state = "hidden"
    book.save(tmp_path / "map.xlsx")
    found = read_plate_map(tmp_path / "map.xlsx")
    assert (found.treatments, found.sheets) == ({(None, "A1"): "drug"}, ("Map",))


def test_sheets_that_fit_no_image_are_named(tmp_path):
    rows = [["#", "well", "treatment"], [1, "A1", "drug"]]
    excel(tmp_path / "map.xlsx", Map=rows, old=rows)
    with pytest.raises(
        DataError, match=r"its sheets Map, old, each taken for a plate, name A1 of Map, A1 of old"
    ):
        folder(tmp_path, ["A1"], "", plate_map="map.xlsx")
    excel(tmp_path / "map.xlsx", Map=rows)
    with pytest.raises(DataError, match=r"its sheet Map names A1\)"):
        folder(tmp_path, ["B1", "B2"], "", plate_map="map.xlsx")


def test_several_tables_of_the_plates_form_are_the_plates_of_their_titles(tmp_path):
    (tmp_path / "map.csv").write_text("P1,1\nA,drug\nP2,1\nA,none\n")
    assert read_plate_map(tmp_path / "map.csv").treatments == {("P1", "A1"): "drug", ("P2", "A1"): "none"}


def test_a_row_of_numbers_is_no_head_of_a_plate(tmp_path):
    (tmp_path / "map.csv").write_text(",1,2,3\nA,1,2,3\nB,4,5,6\n")
    treatments = read_plate_map(tmp_path / "map.csv").treatments
    assert treatments[None, "A2"] == "2"
    assert len(treatments) == 6


@pytest.mark.parametrize(
    "legend", ["A,x\nB,y\n", "Legend\na,x\nb,y\nc,z\n", "b,x\n", "key\n\nA,x,x\nB,y,y\nC,z,z\n"]
)
def test_a_legend_of_letters_changes_no_well(tmp_path, legend):
    (tmp_path / "map.csv").write_text(f"P1,1,2\nA,a,b\nB,b,\n\n{legend}\nP2,1,2\nA,a,b\n,1,2\n")
    found = read_plate_map(tmp_path / "map.csv").treatments
    wells = {("P1", "A1"): "a", ("P1", "A2"): "b", ("P1", "B1"): "b", ("P2", "A1"): "a", ("P2", "A2"): "b"}
    assert found == wells


PLATES = {
    "below": "P1,1\nA,a\n\n{0}\nP2,1\nA,b\n\n{1}",
    "above": "{0}\nP1,1\nA,a\n\n{1}\nP2,1\nA,b\n",
}


@pytest.mark.parametrize("place", PLATES)
def test_each_plate_has_the_tables_of_its_own(tmp_path, place):
    tables = [f"dose,1\nA,{dose}\n\nunit,1\nA,{unit}\n\ncontrol,1\nA,{yes}\n" for dose, unit, yes in OWN]
    (tmp_path / "map.csv").write_text(PLATES[place].format(*tables), encoding="utf-8")
    found = read_plate_map(tmp_path / "map.csv")
    assert found.doses == {("P1", "A1"): ("0", "nM"), ("P2", "A1"): ("5", "µM")}
    assert found.controls == {"a"}
    assert found.passed == ()


OWN = [("0", "nM", "yes"), ("5", "µM", "no")]


def test_one_table_of_doses_holds_for_all_plates_and_this_is_said(tmp_path):
    (tmp_path / "map.csv").write_text("P1,1\nA,a\n\nP2,1\nA,b\n\ndose (nM),1\nA,5\n")
    found = read_plate_map(tmp_path / "map.csv")
    assert set(found.doses.values()) == {("5", "nM")}
    assert found.passed == ("the table dose (nM) holds for all plates",)


def test_columns_numbered_below_a_table_too_make_no_second_plate(tmp_path):
    (tmp_path / "map.csv").write_text("Monday,1,2\nA,a,b\n,1,2\n")
    assert read_plate_map(tmp_path / "map.csv").treatments == {(None, "A1"): "a", (None, "A2"): "b"}


@pytest.mark.parametrize("text", ["None", "NA", "null", "001", "nan", "1e3"])
def test_words_that_look_like_missing_values_or_numbers_stay(tmp_path, text):
    (tmp_path / "map.csv").write_text(f"well,treatment\nA1,{text}\n")
    excel(tmp_path / "map.xlsx", Map=[["well", "treatment"], ["A1", text]])
    for name in ("map.csv", "map.xlsx"):
        assert read_plate_map(tmp_path / name).treatments == {(None, "A1"): text}


DOSES = {
    "a list": ("well,treatment,dose\nA1,drug,0.5\nA2,drug,\n", None),
    "a unit in brackets": ("well;treatment;Dose (µM)\nA1;drug;0.5\nA2;none;\n", "µM"),
    "a unit after the word": ("Well,Treatment,conc_nM\nA1,drug,0.5\n", "nM"),
    "concentration": ("well,treatment,Concentration [ng/ml]\nA1,drug,0.5\n", "ng/ml"),
    "the final one": ("well,treatment,Final concentration (nM)\nA1,drug,0.5\n", "nM"),
    "a unit in words": ("well,treatment,dose_ng_per_ml\nA1,drug,0.5\n", "ng/ml"),
    "a unit and a word": ("well;treatment;dose (nM, final)\nA1;drug;0.5\n", "nM"),
    "a unit and another word": ("well,treatment,Conc. (µM; nominal)\nA1,drug,0.5\n", "µM"),
    "a word and a unit": ("well;treatment;dose (final, in nM)\nA1;drug;0.5\n", "nM"),
    "a word beside a unit": ("well,treatment,dose (nM final)\nA1,drug,0.5\n", "nM"),
    "brackets in brackets": ("well,treatment,dose (nM (final))\nA1,drug,0.5\n", "nM"),
    "a unit behind brackets": ("well,treatment,Conc. (final) nM\nA1,drug,0.5\n", "nM"),
    "a unit before brackets that tell none": ("well,treatment,dose nM (day 3)\nA1,drug,0.5\n", "nM"),
    "brackets that tell no unit": ("well,treatment,dose (final)\nA1,drug,0.5\n", None),
    "two brackets": ("well,treatment,dose (nM) (24 h)\nA1,drug,0.5\n", "nM"),
    "per cent of volumes": ("well,treatment,dose (% v/v)\nA1,drug,0.5\n", "% v/v"),
    "enzyme's units": ("well,treatment,Dose (U)\nA1,drug,0.5\n", "U"),
    "per well": ("well,treatment,Dose (µg/well)\nA1,drug,0.5\n", "µg/well"),
    "a power": ("well,treatment,Dose (ng mL-1)\nA1,drug,0.5\n", "ng/ml"),
    "a power without brackets": ("well,treatment,conc ng·mL⁻¹\nA1,drug,0.5\n", "ng/ml"),
    "in": ("well,treatment,Dose in nM\nA1,drug,0.5\n", "nM"),
    "in brackets": ("well,treatment,Conc. (final) [in uM]\nA1,drug,0.5\n", "µM"),
    "a column of units": ("well,treatment,dose,unit\nA1,drug,0.5,nM\n", "nM"),
    "a column of the dose's units": ("well,treatment,Dose unit,Dose\nA1,drug,μM,0.5\n", "µM"),
    "a unit of its own": ("well,treatment,dose (nM)\nA1,drug,0.5 uM\n", "µM"),
    "no blank": ("well,treatment,dose\nA1,drug,0.5ng/mL\n", "ng/ml"),
    "a comma": ("well;treatment;dose\nA1;drug;0,50 %\n", "%"),
    "the second column": ("well,treatment,dose (nM),dose (µM)\nA1,drug,,0.5\n", "µM"),
    "the plate's form": ("treatment,1,2\nA,drug,none\n\ndose (mM),1,2\nA,0.5,\n", "mM"),
    "the final one of a plate": (
        "Treatment,,\n,1,2\nA,drug,none\n\nFinal concentration (nM),,\n,1,2\nA,0.5,\n",
        "nM",
    ),
    "a unit alone": ("well,treatment,[ng/mL]\nA1,drug,0.5\n", "ng/ml"),
    "a unit below the head": ("well,treatment,dose\n,,(nM)\nA1,drug,0.5\n", "nM"),
    "a unit without brackets below the head": ("Well,Compound,Conc.\n,name,in nM\n\nA1,drug,0.5\n", "nM"),
    "two units below one head": (
        "well,treatment,dose,dose\nwell,treatment,nM,µM\nA1,drug,,0.5\nA2,drug,,\n",
        "µM",
    ),
    "a unit in the corner": ("treatment,1,2\nA,drug,none\n\nµM,1,2\nA,0.5,\n", "µM"),
    "per cent in the corner": ("treatment,1,2\nA,drug,none\n\n%,1,2\nA,0.5,\n", "%"),
    "a line of doses without a well": ("well,treatment,dose (nM)\n,drug,7\nA1,drug,0.5\n", "nM"),
    "a plate of units": ("treatment,1\nA,drug\n\ndose,1\nA,0.5\n\nunit,1\nA,nM\n", "nM"),
}


@pytest.mark.parametrize("form", DOSES)
def test_a_dose_is_read_with_its_unit_wherever_that_stands(form, tmp_path):
    text, unit = DOSES[form]
    (tmp_path / "map.csv").write_text(text, encoding="utf-8")
    found = read_plate_map(tmp_path / "map.csv")
    assert found.doses == {(None, "A1"): ("0.5", unit)}
    assert found.passed == ()


def test_doses_of_unlike_units_stay_apart(tmp_path):
    text = "well,treatment,dose,unit\nA1,drug,10,nM\nA2,drug,10,µM\nA3,drug,10,\n"
    (tmp_path / "map.csv").write_text(text, encoding="utf-8")
    assert list(read_plate_map(tmp_path / "map.csv").doses.values()) == [
        ("10", "nM"),
        ("10", "µM"),
        ("10", None),
    ]


@pytest.mark.parametrize(
    ("written", "unit", "said"),
    [
        ("1,0", None, ("1", None)),
        ("001", "uM", ("1", "µM")),
        (".5", None, ("0.5", None)),
        ("1E+3", None, ("1000", None)),
        ("0.30000000000000004", "nm", ("0.3", "nM")),
        ("10 nM", None, ("10", "nM")),
        ("10NM", "µM", ("10", "nM")),
        ("5 ug / mL", None, ("5", "µg/ml")),
        ("5 mg/kg", None, ("5", "mg/kg")),
        *(
            (f"5 {unit}", None, ("5", "ng/ml"))
            for unit in ("ng mL-1", "ng·mL⁻¹", "ng ml^-1", "ng.mL−1", "ng * mL-1")
        ),
        ("5", "mg kg^-1", ("5", "mg/kg")),
        ("5µg L-1", None, ("5", "µg/l")),
        *(("5", unit, ("5", "µg/cm2")) for unit in ("ug/cm²", "µg cm-2", "µg·cm⁻²")),
        ("1,000", "nM", ("1,000", "nM")),
        ("2.500", None, ("2.500", None)),
        ("1.125", None, ("1.125", None)),
        ("0,125", None, ("0.125", None)),
        *((text, "nM", (text, None)) for text in ("vehicle", "0 (DMSO)", "10 nM BDNF", "-", "n/a", "10 x")),
        *((text, "nM", (text, "nM")) for text in ("10-20", "<5", "≥0.5", "1:100", "10/20", "10-6")),
        *(
            (text, None, ("1000", "nM"))
            for text in (
                "1 000 nM",
                "1\u202f000 nM",
                "1\u00a0000nM",
                "1'000 nM",
                "1\u2019000 nM",
                "1 000,0 nM",
            )
        ),
        ("1 000 000", "nM", ("1000000", "nM")),
        *((text, "nM", ("1234.5", "nM")) for text in ("1,234.5", "1.234,5", "1 234,5")),
        *((text, None, ("0.5", "nM")) for text in ("½ nM", "½nM", "0,5 nM", "0.5nm", "5e-1 nM", "5E-01 nM")),
        ("2½ nM", None, ("2.5", "nM")),
        ("1 ¼", "nM", ("1.25", "nM")),
        ("20 fM", None, ("20", "fM")),
        ("20 fmol/ml", None, ("20", "fmol/ml")),
        *(
            (text, None, ("10", "µM"))
            for text in ("10 µM (final)", "10 µM final", "10 uM, nominal", "10 μM [final]")
        ),
        *(
            (text, None, ("0.001", "µM"))
            for text in (
                *("1e-3 µM", "1E-03µM", "1·10^-3 µM", "1x10^-3 uM", "1 × 10⁻³ µM", "1*10**-3 µM"),
                *("10^-3 µM", "10⁻³ µM", "10^(-3) µM", "1x10-3 µM", "1,0 · 10^−3 µM"),
            )
        ),
        ("3x10^3", "nM", ("3000", "nM")),
        ("<1 nM", None, ("<1", "nM")),
        *((text, None, ("~5", "nM")) for text in ("~5 nM", "~ 5,0 nM", "≈5 nM", "ca. 5 nM", "approx. 5nM")),
        *((text, None, ("≥0.5", "nM")) for text in (">=0,5 nM", "≥ 0,5 nM")),
        *((text, None, ("10-20", "nM")) for text in ("10-20 nM", "10 – 20nM")),
        ("5 % (v/v)", None, ("5", "% v/v")),
        ("5% V/V", None, ("5", "% v/v")),
        *((f"5 {unit}", None, ("5", unit)) for unit in ("MOI", "ppm", "units", "ng/well", "cells/ml", "kU")),
        ("10 µM/ml", None, ("10", "µM/ml")),
        *(
            (text, None, (text, None))
            for text in ("10-6 M", "1x103 nM", "10 ± 2 nM", "1 00 nM", "10 nM + 5 µM")
        ),
        ("1:100", None, ("1:100", None)),
        ("10 nM BDNF", None, ("10 nM BDNF", None)),
    ],
)
def test_a_dose_has_one_form_however_it_is_written(written, unit, said):
    assert tidy_dose(written, unit) == said
    assert tidy_dose(*said) == said


UNUSED = {
    "a column": ("well,treatment,passage\nA1,drug,7\n", r"column 3 \(passage\)"),
    "one without a head": ("well,treatment,\nA1,drug,odd\n", r"column 3 \(without a head\)"),
    "the dose of something else": (
        "well,treatment,Stock conc (mM),unit\nA1,drug,7,mM\n",
        r"column 3 \(Stock conc \(mM\)\), column 4 \(unit\)",
    ),
    **{
        f"no dose: {head}": (
            f"well,treatment,{head}\nA1,drug,7\n",
            rf"not used: column 3 \({re.escape(head)}\)",
        )
        for head in (
            *("dose (nM) log10", "log dose", "log10(M)", "Log10 dose (M)", "dose (log10 M)", "dose [log nM]"),
            *(
                "-log10 dose (M)",
                "ln dose",
                "log2 conc. (nM)",
                "log₁₀ conc (M)",
                "log_dose_nM",
                "log10(dose)",
            ),
            *("Conc (stock; mM)", "Conc. (mM) stock", "Conc [stock] mM", "dose (10x; nM)", "conc (%) DMSO"),
            *("Konz (Stamm; mM)", "Conc (Stammlösung) mM", "stock conc (mM)", "conc (vehicle; %)"),
        )
    },
    "a table of logarithms": (
        "treatment,1\nA,drug\n\ndose (M) log10,1\nA,-6\n",
        r"the table dose \(M\) log10",
    ),
    "logarithms by the line below the head": (
        "well,treatment,dose\n,,log10 M\nA1,drug,7\n",
        r"not used: column 3 \(dose log10 M\)",
    ),
    "a table of stocks": (
        "treatment,1\nA,drug\n\nConc (stock, mM),1\nA,6\n".replace("k, m", "k; m"),
        "the table Conc",
    ),
    **{
        f"a dose that is not understood: {dose}": (
            f"well,treatment,dose\nA1,drug,{dose}\n",
            rf"no number with a known unit are left as they are \({re.escape(dose)}\); write a number",
        )
        for dose in (
            "10 x",
            "10-6 M",
            "1x103 nM",
            "10 ± 2 nM",
            "nM 10",
            "10/20",
            "10 nM BDNF",
            "1 00 nM",
            "5 nmolar",
        )
    },
    "an amount per litre and volume": (
        "well,treatment,dose\nA1,drug,10 µM/ml\n",
        "M is an amount per litre already in µM/ml; write µM",
    ),
    "an amount per litre and volume in the head": (
        "well,treatment,dose (nM/ml)\nA1,drug,10\n",
        "M is an amount per litre already in nM/ml; write nM",
    ),
    "two doses": (
        "well,treatment,dose (nM),dose (µM)\nA1,drug,10,0.01\n",
        r"the first is used, not column 4 \(dose \(µM\)\)",
    ),
    "thousands": ('well,treatment,dose\nA1,drug,"1,000"\n', r"left as they are \(1,000\)"),
    "a number beside one with a unit": (
        "well,treatment,dose\nA1,drug,10\nA2,drug,10 nM\nA3,drug,0\nA4,drug,none\n",
        r"without a unit \(10\) stand beside doses with one \(10 nM\).*; write the unit behind each",
    ),
    "a gap in a column of units": (
        "well,treatment,dose,unit\nA1,drug,10,nM\nA2,drug,<5,\n",
        r"without a unit \(<5\) stand beside doses with one \(10 nM\)",
    ),
    "a plate of numbers beside one with units": (
        "treatment,1,2\nA,drug,drug\n\ndose,1,2\nA,10,5 µM\n",
        r"without a unit \(10\) stand beside doses with one \(5 µM\)",
    ),
    "brackets that hold no known unit": (
        "well,treatment,dose (day 3)\nA1,drug,10\n",
        r"no unit is known in dose \(day 3\); write it behind each dose, or in a column unit",
    ),
    "a table": ("treatment,1\nA,drug\n\ndensity,1\nA,5000\n\nSerum batch,1\nA,7\n", "density, Serum batch"),
    "a legend below a plate's form": (
        "treatment,1,2\nA,a,b\nB,a,b\n\nLegend\na,none\nb,10 nM BDNF\n",
        r"no row of a table \(line 6, column 1: a none; line 7, column 1: b 10 nM BDNF\)",
    ),
    "a line above the columns of a plate's form": (
        "Dose (nM),10,20\n,1,2\nA,a,b\n",
        r"no row of a table \(line 1, column 1: Dose \(nM\) 10 20\)",
    ),
    "two units in the head": (
        "well,treatment,dose (nM; µM)\nA1,drug,10\n",
        r"no unit is known in dose \(nM; µM\); write it behind each dose",
    ),
    "a dose of a plate without a treatment": (
        "treatment,1,2,3\nA,drug,,\n\ndose (nM),1,2,3\nA,5,7,0\n",
        r"doses of wells without a treatment \(A2\)",
    ),
    "a unit beside another in the head": (
        "well,treatment,dose (nM),unit\nA1,drug,10,µM\nA2,drug,10,nM\n",
        r"unit goes before that of the dose's head \(µM in dose \(nM\)\); leave one out",
    ),
    "a dose without a treatment": (
        "well,treatment,dose (nM)\nA1,drug,10\nA2,,20\nA3,,30\nA4,,0\nA5,,\n",
        r"a dose and no treatment \(A2, A3\); write the treatment for each well",
    ),
    "some wells without a plate": (
        "plate,well,treatment\nVID123,A1,drug\n,A2,drug\n",
        r"without a plate are those of every plate \(A2\); write the plate of each",
    ),
    "ranges of wells": (
        "well,treatment\nA1,drug\nA2-A4,none\nB1:B3,none\n",
        r"no letter and number \(A2-A4, B1:B3\) .* write each well in a line of its own",
    ),
    "a legend below a list": (
        "well,treatment\nA1,1\n\nLegend:\n1,drug\n",
        r"no letter and number \(Legend:, 1\)",
    ),
    "a treatment without a well": (
        "well,treatment\nA1,drug\n,none\n",
        r"treatments without a well \(line 3, column 1\)",
    ),
    "two tables of doses": (
        "treatment,1\nA,drug\n\ndose (nM),1\nA,5\n\ndose (µM),1\nA,7\n",
        "the first table's is used",
    ),
}


@pytest.mark.parametrize("name", UNUSED)
def test_what_of_a_plate_map_is_not_used_is_listed(tmp_path, name):
    text, words = UNUSED[name]
    source = folder(tmp_path, ["A1"], text)
    (note,) = source.notes.itertuples()
    assert (note.check, note.image, note.where) == ("passed_over", -1, "map.csv")
    assert re.search(words, note.message)


@pytest.mark.parametrize(
    "text",
    [
        "well,treatment,dose\nA1,drug,0\nA2,drug,10 nM\nA3,drug,vehicle\n",
        "well,treatment,dose (nM)\nA1,drug,10\nA2,drug,10 µM\n",
        "well,treatment,dose (day 3)\nA1,drug,10 nM\nA2,drug,0\n",
        "well,treatment,dose (final)\nA1,drug,10\nA2,drug,20\n",
        "well,treatment,dose\nA1,drug,10 µM (final)\nA2,drug,½ nM\nA3,drug,0 (DMSO)\nA4,drug,<1 nM\n",
        "well,treatment,drug dose (nM) final\nA1,drug,1 000\nA2,drug,10^-3\n",
    ],
)
def test_doses_whose_units_are_told_or_are_not_needed_are_in_no_doubt(tmp_path, text):
    (tmp_path / "map.csv").write_text(text, encoding="utf-8")
    assert read_plate_map(tmp_path / "map.csv").passed == ()


def merged(path, rows, *ranges):
    """Write an Excel file whose merged cells hold their value in the first, as Excel keeps them."""
    book = Workbook()
    for row in rows:
        book.active.append(row)
    for part in ranges:
        book.active.merge_cells(part)
    book.save(path)


def test_merged_cells_of_a_list_all_say_what_one_says(tmp_path):
    rows = [["plate", "well", "treatment"], ["P", "A1", "DMSO"], [None, "A2", None], [None, "B1", "BDNF"]]
    merged(tmp_path / "map.xlsx", [*rows, [None, "B2", None], [None, "C1", None]], "A2:A6", "C2:C3", "C4:C5")
    found = {
        ("P", "A1"): "DMSO",
        ("P", "A2"): "DMSO",
        ("P", "B1"): "BDNF",
        ("P", "B2"): "BDNF",
        ("P", "C1"): None,
    }
    assert read_plate_map(tmp_path / "map.xlsx").treatments == found


def test_merged_cells_of_a_plates_form_all_say_what_one_says(tmp_path):
    rows = [
        ["P1", None, None],
        [None, 1, 2],
        ["A", "DMSO", None],
        ["B", "BDNF", "none"],
        ["P2"],
        [None, 1],
        ["A", "x"],
    ]
    merged(tmp_path / "map.xlsx", rows, "A1:C1", "B3:C3")
    wells = {"A1": "DMSO", "A2": "DMSO", "B1": "BDNF", "B2": "none"}
    found = {("P1", well): treatment for well, treatment in wells.items()} | {("P2", "A1"): "x"}
    assert read_plate_map(tmp_path / "map.xlsx").treatments == found


def test_heads_that_are_merged_over_lines_name_no_well(tmp_path):
    rows = [["well", "treatment"], [None, None], [None, None], ["A1", "drug"]]
    merged(tmp_path / "map.xlsx", rows, "A1:A3", "B1:B3")
    assert read_plate_map(tmp_path / "map.xlsx").treatments == {(None, "A1"): "drug"}


def test_a_formula_without_its_value_is_named(tmp_path):
    merged(tmp_path / "map.xlsx", [["well", "treatment"], ["A1", "drug"], ["A2", "=B2"]])
    with pytest.raises(
        DataError, match=r"map\.xlsx:Sheet:B3: the formula comes without its value; open the file"
    ):
        read_plate_map(tmp_path / "map.xlsx")


@pytest.mark.parametrize(
    ("value", "form", "said"),
    [
        *(
            (10, form, ("10", "nM"))
            for form in ('0" nM"', '0"nM"', "0.00\\ \\n\\M", 'General" nM"', '[Red]0" nM"')
        ),
        *(
            (10, form, ("10", "nM"))
            for form in ('0" nM";[Red]-0" nM"', '0.0" nM"_);(0.0" nM;")', '#,##0 "nM"')
        ),
        (0.25, '0" nM"', ("0.25", "nM")),
        (1500, '0.0," µM"', ("1.5", "µM")),
        (0.5, "0.0%", ("50", "%")),
        (0.07, "0%", ("7", "%")),
        (5, '0"%"', ("5", "%")),
        (5, "0\\%", ("5", "%")),
        (0, '0" nM";;"vehicle"', ("0", None)),
        (0, '0" nM"', ("0", "nM")),
        *((10, form, ("10", None)) for form in ("General", "0.00", "#,##0.00", "0.00E+00", "@", "# ?/?")),
        *(
            (10, form, ("10", None))
            for form in ("[$-407]0.0", "_(* #,##0_);_(* (#,##0)", "[Red]0", '0""', ";;;")
        ),
        ("10 µM", '0" nM"', ("10", "µM")),
        *(
            (10, form, ("10", "nM"))
            for form in ("0 [$nM]", "0.0[$ nM-407]", "#,##0.00 [$nM-x-1]", "0_)[$nM]")
        ),
        (2, '0 [$µM];-0 [$µM];"none"', ("2", "µM")),
        (10, "0[$%]", ("10", "%")),
        (10, '"~"0" nM"', ("~10", "nM")),
        (10, '"ca. "0', ("~10", None)),
        (10, '[Blue]"<"0.0 [$nM]', ("<10", "nM")),
        *(
            (value, '[>=1000]0.0," µM";0" nM"', said)
            for value, said in ((2500, ("2.5", "µM")), (1000, ("1", "µM")), (500, ("500", "nM")))
        ),
        *(
            (value, '[<1]0.000" nM";[<1000]0" pM";0.0," fM"', said)
            for value, said in ((0.5, ("0.5", "nM")), (20, ("20", "pM")), (3000, ("3", "fM")))
        ),
        *(
            (value, '[Red][<1]0" nM";0" µM"', said)
            for value, said in ((0.5, ("0.5", "nM")), (10, ("10", "µM")), (0, ("0", "nM")))
        ),
        (5, '[=0]"none";0" nM"', ("5", "nM")),
        (0.5, '# ?/?" nM"', ("0.5", "nM")),
        (0.001, '0.0E+00" µM"', ("0.001", "µM")),
        (2, '[=1]"low";[=2]"high";General', ("high", None)),
        ("10", '@" nM"', ("10", "nM")),
        ("10", '0;-0;0;@" nM"', ("10", "nM")),
        ("10", '0" µM"', ("10", None)),
    ],
)
def test_the_unit_that_excel_shows_behind_a_number_is_the_doses(tmp_path, value, form, said):
    book = Workbook()
    for row in (["well", "treatment", "dose"], ["A1", "drug", value]):
        book.active.append(row)
    book.active["C2"].number_format = form
    book.save(tmp_path / "map.xlsx")
    assert read_plate_map(tmp_path / "map.xlsx").doses == {(None, "A1"): said}


def test_a_cell_of_several_lines_is_one_treatment(tmp_path):
    rows = [["well", "treatment"], ["A1", "drug\n1 µM"], ["A2", "drug\n10 µM"], ["B1", "two  blanks"]]
    excel(tmp_path / "map.xlsx", Map=rows)
    text = 'well,treatment\n# by "me\nA1,"drug\n1 µM"\nA2,"drug\r\n10 µM"\n\nB1,two  blanks\n'
    (tmp_path / "map.csv").write_bytes(text.encode())
    found = {(None, "A1"): "drug 1 µM", (None, "A2"): "drug 10 µM", (None, "B1"): "two blanks"}
    for name in ("map.csv", "map.xlsx"):
        assert read_plate_map(tmp_path / name).treatments == found


def test_a_column_says_which_treatment_is_the_control(tmp_path):
    (tmp_path / "map.csv").write_text("well,treatment,control\nA1,acid,yes\nA2,base,\nA3,acid,X\n")
    assert read_plate_map(tmp_path / "map.csv").controls == {"acid"}


BROKEN = {
    "no heads": ("A1,drug\nB2,control\n", "no plate map"),
    "heads of another language": (
        "Plattenbelegung vom Montag\n\nVertiefung;Wirkstoff;Dosis\nA1;Kontrolle;0\n",
        "its heads are Vertiefung, Wirkstoff, Dosis, and those known are well .*, treatment, dose",
    ),
    "one head of another language": (
        "Well;Wirkstoff;Dosis\nA1;Kontrolle;0\n",
        "lacks the column treatment; its heads are Well, Wirkstoff, Dosis, and",
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


# ------------------------------------------------------------------------------------------- joined to images


def folder(path, wells, text, **keys):
    """Read a folder of an image for each well, with a plate map."""
    for at, well in enumerate(wells):
        tifffile.imwrite(path / f"VID123_{well}_1_00d0{at}h00m.tif", np.full((6, 10), at, np.uint8))
    (path / "map.csv").write_text(text, encoding="utf-8")
    content = {"format": "folder", "root": str(path), "pattern": PATTERN, "plate_map": "map.csv", **keys}
    (path / "dataset.yaml").write_text(yaml.safe_dump(content))
    return readers.read(readers.read_dataset(path / "dataset.yaml"))


def test_wells_join_however_they_are_written(tmp_path):
    source = folder(tmp_path, ["A1", "A02", "b3"], "well,treatment\na01,None\nA2,NA\nr02c03,BDNF\n")
    assert source.images.set_index("well")["treatment"].to_dict() == {"A1": "None", "A2": "NA", "B3": "BDNF"}
    assert source.notes.empty


@pytest.mark.parametrize("wells", ["C1,drug\nC2,none", "A1,drug\nC2,none"])
def test_a_map_that_fits_few_images_stops_the_run(tmp_path, wells):
    with pytest.raises(DataError, match=r"plate map map\.csv fits [01] of 3 images .*`plate_map: keep`"):
        folder(tmp_path, ["A1", "A2", "A3"], f"well,treatment\n{wells}\n")


def test_a_map_of_another_plate_stops_the_run(tmp_path):
    with pytest.raises(DataError, match="it names A1 of other"):
        folder(tmp_path, ["A1"], "plate,well,treatment\nother,A1,drug\n")


def test_a_pattern_that_fits_few_images_stops_the_run(tmp_path):
    with pytest.raises(DataError, match=r"the pattern .* fits 0 of 1 images .*`pattern_mismatch: keep`"):
        folder(tmp_path, ["Z99"], "well,treatment\nA1,drug\n", policies={"plate_map": "keep"})


def test_a_misfit_is_let_by_where_the_dataset_file_says_so(tmp_path):
    source = folder(tmp_path, ["A1", "A2", "A3"], "well,treatment\nC1,drug\n", policies={"plate_map": "keep"})
    assert source.images["treatment"].isna().all()
    assert source.notes["check"].tolist() == ["plate_map"] * 3


def test_a_map_of_most_images_notes_the_others(tmp_path):
    source = folder(tmp_path, ["A1", "A2", "A3"], "well,treatment\nA1,a\nA2,b\n")
    assert source.notes[["check", "image"]].to_numpy().tolist() == [["plate_map", 2]]


def test_the_only_plate_of_a_map_is_that_of_images_that_tell_none(tmp_path):
    pattern = r"VID\d+_(?P<well>[A-P]\d+)_"
    source = folder(tmp_path, ["A1"], "plate,well,treatment\nmine,A1,drug\n", pattern=pattern)
    assert source.images["treatment"].tolist() == ["drug"]


STORED = ("NFC", "NFD")


@pytest.mark.parametrize("named", STORED)
@pytest.mark.parametrize("listed", STORED)
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_names_join_however_their_letters_are_stored_and_typed(tmp_path, named, listed, case, ending):
    for well in ("mitte", "Größe"):
        tifffile.imwrite(
            tmp_path / f"{normalize(named, f'Zählung é_{well}_1')}.tif", np.ones((6, 10), np.uint8)
        )
    rows = [["plate", "well", "treatment"], [" Zählung  é", "Mitte", "Öl"], ["Zählung é", "Größe", "Wasser"]]
    rows[1:] = [[normalize(listed, case(cell)) for cell in row] for row in rows[1:]]
    excel(tmp_path / "map.xlsx", Map=rows)
    (tmp_path / "map.csv").write_text("\n".join(map(",".join, rows)), encoding="utf-8")
    pattern = normalize(listed, r"(?P<plate>Zählung \w)_(?P<well>\w+)_")
    keys = {"pattern": pattern, "control": normalize(named, "öl"), "plate_map": f"map.{ending}"}
    content = {"format": "folder", "root": str(tmp_path), **keys}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(content))
    source = readers.read(readers.read_dataset(tmp_path / "dataset.yaml"))
    columns = ["plate", "well", "treatment", "control"]
    assert sorted(source.images[columns].values.tolist()) == [
        ["Zählung é", "Größe", case("Wasser"), False],
        ["Zählung é", "mitte", case("Öl"), True],
    ]
    assert source.notes.empty


def test_treatments_that_differ_in_case_alone_are_one_and_this_is_said(tmp_path):
    text = "well,treatment,control\nA1,DMSO,yes\nA2,dmso,yes\nA3,BDNF,\n"
    source = folder(tmp_path, ["A1", "A2", "A3"], text)
    assert source.images["treatment"].tolist() == ["DMSO", "DMSO", "BDNF"]
    assert source.images["control"].tolist() == [True, True, False]
    (note,) = source.notes.itertuples()
    assert (note.check, note.where) == ("passed_over", "map.csv")
    assert "differ in case or blanks alone are one (dmso is DMSO)" in note.message


def test_treatments_that_names_of_images_spell_in_two_ways_are_one(tmp_path):
    pattern = r"VID\d+_(?P<well>A\d)-(?P<treatment>\w+?)_"
    text = "well,treatment\nA1,\nA2,\nA3,Bdnf\n"
    source = folder(tmp_path, ["A1-bdnf", "A2-dmso", "A3-x", "A4-DMSO"], f"{text}A4,\n", pattern=pattern)
    assert source.images["treatment"].tolist() == ["Bdnf", "dmso", "Bdnf", "dmso"]
    assert "(bdnf is Bdnf, DMSO is dmso)" in source.notes["message"].item()


def test_the_dataset_files_control_stands_before_the_plate_maps(tmp_path):
    plate_map = "well,treatment,control\nA1,acid,yes\nA2,base,\n"
    source = folder(tmp_path, ["A1", "A2"], plate_map, control="base")
    assert source.images["control"].tolist() == [False, True]
    source = folder(tmp_path, ["A1", "A2"], plate_map)
    assert source.images["control"].tolist() == [True, False]


def test_a_control_that_no_image_has_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no image has the treatment 'DMSO' \(there: acid\)"):
        folder(tmp_path, ["A1"], "well,treatment\nA1,acid\n", control="DMSO")


def test_validate_hands_on_what_the_control_is(tmp_path, step):
    from neuroseg import tables

    folder(
        tmp_path,
        ["A1", "A2"],
        "well,treatment\nA1,acid\nA2,base\n",
        control=["base"],
        policies={"image_constant": "keep"},
    )
    step("validate").main(
        dataset=tmp_path / "dataset.yaml",
        images=tmp_path / "images.parquet",
        instances=tmp_path / "instances.parquet",
        problems=tmp_path / "problems.csv",
    )
    assert tables.read_controls(tmp_path / "images.parquet") == ("base",)


def test_doses_and_fields_reach_the_table_of_images(tmp_path):
    source = folder(tmp_path, ["A1", "A2"], "well,treatment,dose (µM)\nA1,drug,001\nA2,drug,\n")
    columns = ["field", "treatment", "dose", "dose_unit"]
    found = source.images[columns].astype(object).fillna("")
    assert found.values.tolist() == [["1", "drug", "1", "µM"], ["1", "drug", "", ""]]


def test_names_may_tell_the_dose(tmp_path):
    pattern = r"(?P<plate>VID\d+)_(?P<well>A\d)-(?P<dose>\w+?)_"
    source = folder(tmp_path, ["A1-10uM"], "well,treatment\nA1,drug\n", pattern=pattern)
    columns = ["treatment", "dose", "dose_unit"]
    assert source.images[columns].values.tolist() == [["drug", "10", "µM"]]


@pytest.mark.parametrize(
    ("dose", "words"),
    [
        ("10x", "no number with a known unit are left as they are (10x)"),
        ("-5nM", "no number with a known unit are left as they are (-5nM)"),
        ("1,000nM", "may be thousands or decimal numbers are left as they are (1,000nM)"),
        ("½nM", None),
    ],
)
def test_doses_of_names_that_are_in_doubt_are_named(tmp_path, dose, words):
    pattern = r"VID\d+_(?P<well>A\d)_(?P<dose>[^_]+?)_"
    notes = folder(tmp_path, [f"A1_{dose}"], "well,treatment\nA1,drug\n", pattern=pattern).notes
    assert notes["where"].tolist() == ["names of images"] * (words is not None)
    assert words is None or words in notes["message"].item()


@pytest.mark.parametrize("name", ["map.xls", "map.ods", "map.csv"])
def test_spreadsheets_of_other_kinds_are_named_with_the_cure(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(DataError, match=r"this kind of spreadsheet is not read; save it as \.xlsx or CSV"):
        read_plate_map(tmp_path / name)


def test_an_excel_file_that_is_called_csv_is_read_by_its_content(tmp_path):
    excel(tmp_path / "map.xlsx", Map=[["well", "treatment"], ["A1", "drug"]])
    (tmp_path / "map.xlsx").rename(tmp_path / "map.csv")
    assert read_plate_map(tmp_path / "map.csv").treatments == {(None, "A1"): "drug"}
