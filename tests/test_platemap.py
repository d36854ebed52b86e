"""Wells and plate maps: every form of a list, a plate or an Excel file says the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from plates_cases import excel, merged

from neuroseg.errors import DataError
from neuroseg.readers.plates.platemap import read_plate_map
from neuroseg.readers.plates.wells import well_at, well_name


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


def test_an_excel_file_that_is_called_csv_is_read_by_its_content(tmp_path):
    excel(tmp_path / "map.xlsx", Map=[["well", "treatment"], ["A1", "drug"]])
    (tmp_path / "map.xlsx").rename(tmp_path / "map.csv")
    assert read_plate_map(tmp_path / "map.csv").treatments == {(None, "A1"): "drug"}


SIDE = {
    "a legend": (
        ",1,2,Legend\nA,a,b,a = NGF\nB,b,,b = DMSO\n",
        {"A1": "a", "A2": "b", "B1": "b"},
        "column 4 (Legend)",
    ),
    "notes that go on below": (
        ",1,2,,Notes,By\nA,a,b,,x,me\nB,b,,,,\n,,,,y,\n,,,,z,\n",
        {"A1": "a", "A2": "b", "B1": "b"},
        "column 5 (Notes), column 6 (By)",
    ),
    "a legend below": (",1,2,,Legend\nA,a\n,,,,a = NGF\n", {"A1": "a"}, "column 5 (Legend)"),
    "no head": (
        ",1,2\nA,a,b,,a = NGF\nB,b\n",
        {"A1": "a", "A2": "b", "B1": "b"},
        "column 5 (without a head)",
    ),
}


@pytest.mark.parametrize("name", SIDE)
def test_columns_beside_a_plate_are_told_and_not_used(tmp_path, name):
    text, wells, columns = SIDE[name]
    (tmp_path / "map.csv").write_text(text)
    found = read_plate_map(tmp_path / "map.csv")
    assert found.treatments == {(None, well): treatment for well, treatment in wells.items()}
    assert found.passed == (f"not used: {columns}, beside the table",)


TWO = {("P1", "A1"): "a", ("P1", "A2"): "b", ("P1", "B1"): "c", ("P2", "A1"): "d", ("P2", "B2"): "e"}
BESIDE = {
    "corners": "P1,1,2,,P2,1,2\nA,a,b,,A,d,\nB,c,,,B,,e\n",
    "titles above": "P1,,,,P2,,\n,1,2,,,1,2\nA,a,b,,A,d,\nB,c,,,B,,e\n",
    "titles above the numbers": ",P1,,,,P2,\n,1,2,,,1,2\nA,a,b,,A,d,\nB,c,,,B,,e\n",
    "letters once": "P1,1,2,P2,1,2\nA,a,b,,d,\nB,c,,,,e\n",
    "a title of all": "My experiment\n\nP1,1,2,,P2,1,2\nA,a,b,,A,d,\nB,c,,,B,,e\n",
    "unlike heights": "P1,1,2,,P2,1,2\nA,a,b,,A,d,\nB,c,,,B,,e\n,,,,C,,\n",
    "one below": "P1,1,2\nA,a,b\nB,c,\n\nP2,1,2\nA,d,\nB,,e\n",
}


@pytest.mark.parametrize("name", BESIDE)
def test_plates_side_by_side_are_plates(tmp_path, name):
    (tmp_path / "map.csv").write_text(BESIDE[name])
    found = read_plate_map(tmp_path / "map.csv")
    assert found.treatments == TWO
    assert found.passed == ()


def test_doses_beside_treatments_are_theirs_and_a_legend_is_not(tmp_path):
    text = "treatment,1,2,,dose (nM),1,2,,Legend\nA,a,b,,A,1,2,,x\nB,c,,,B,3,,,y\n"
    (tmp_path / "map.csv").write_text(text)
    found = read_plate_map(tmp_path / "map.csv")
    assert found.doses == {(None, "A1"): ("1", "nM"), (None, "A2"): ("2", "nM"), (None, "B1"): ("3", "nM")}
    assert found.passed == ("not used: column 9 (Legend), beside the table",)


@pytest.mark.parametrize("cell", ["5/1/2026", "#N/A"])
def test_a_wrong_cell_of_a_plate_beside_another_is_named_by_its_place(tmp_path, cell):
    (tmp_path / "map.csv").write_text(f"P1,1,2,,P2,1,2\nA,a,b,,A,d,{cell}\n")
    with pytest.raises(DataError, match="line 2, column 7"):
        read_plate_map(tmp_path / "map.csv")


GERMAN = {
    "list": "Platte;Vertiefung;Behandlung;Dosis;Einheit;Kontrolle\nP;A1;NGF;0,5;nM;nein\nP;A2;DMSO;;;ja\n",
    "conc in the head": "Platte;Vertiefung;Wirkstoff;Konzentration (nM);Kontrolle\n"
    "P;A1;NGF;0,5;\nP;A2;DMSO;;WAHR\n",
    "row and column": "platte;zeile;spalte;substanz;konz. [nM];kontrolle\n"
    "P;A;1;NGF;0,5;falsch\nP;A;2;DMSO;;x\n",
    "tables": "Behandlung;1;2\nA;NGF;DMSO\n\nDosis (nM);1;2\nA;0,5;\n\n"
    "Kontrolle;1;2\nA;;ja\n\nZellzahl;1;2\nA;5;5\n",
}


@pytest.mark.parametrize("name", GERMAN)
def test_german_heads_and_words_are_known(tmp_path, name):
    (tmp_path / "map.csv").write_text(GERMAN[name], encoding="utf-8")
    found = read_plate_map(tmp_path / "map.csv")
    plate = None if name == "tables" else "P"
    assert found.treatments == {(plate, "A1"): "NGF", (plate, "A2"): "DMSO"}
    assert found.doses == {(plate, "A1"): ("0.5", "nM")}
    assert found.controls == {"DMSO"}
