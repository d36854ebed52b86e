"""Doses of a plate map: units and numbers however they are written, and what is in doubt or not used."""

import re

import pytest
from openpyxl import Workbook
from plates_cases import folder

from neuroseg.readers.plates.amounts import tidy_dose
from neuroseg.readers.plates.platemap import read_plate_map

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


@pytest.mark.parametrize(
    "head",
    [
        *("Dose in M (1e-6)", "Dose in M (x10-6)", "Dose (M; e-6)", "Dose (M; ×10⁻⁶)", "Dose (M) [10^-6]"),
        *("Dose (M; 10-6)", "Dose (M × 10⁻⁶)", "Dose (1e-6)", "Dose (1000) µM", "Konz. (µM; *1000)"),
        *("Dose (µM; 1:2)", "Dose (µM; serial 1/3)", "Dose (µM; 2-fold)", "Dosis (µM; 1000fach verdünnt)"),
        "Dose (nM, ×10³)",
        *("Dose (µM; 1 in 10)", "Dose (µM; factor 10)", "Dose (10 µM)", "Dose (ng; per 10⁶ cells)"),
        *("Dose (µM; 1 = 10 nM)", "Dose (µM; 1,5)"),
    ],
)
@pytest.mark.parametrize(
    "form", ["well\ttreatment\t{}\nA1\tdrug\t6\n", "treatment\t1\nA\tdrug\n{}\t1\nA\t6\n"]
)
def test_a_number_beside_the_unit_of_a_head_gives_no_unit_and_is_said(tmp_path, head, form):
    (tmp_path / "map.csv").write_text(form.format(head), encoding="utf-8")
    found = read_plate_map(tmp_path / "map.csv")
    assert found.doses == {(None, "A1"): ("6", None)}
    (words,) = found.passed
    assert words.startswith(f"the number in {head} may be a factor")
    assert words.endswith("multiply them out, and write their unit alone, such as Dose (µM)")


@pytest.mark.parametrize(
    "beside",
    [
        *("24 h", "24h", "day 3", "DIV7", "n = 3", "FGF2", "IL-6", "5-HT", "0.1% DMSO", "in 0,1 % DMSO"),
        *("37 °C", "pH 7.4", "Ca²⁺", "H₂O₂", "24-48 h", "#3", "no. 3", "2. Gabe", "2nd", "2026-05-01"),
    ],
)
def test_a_number_with_a_word_of_its_own_beside_a_unit_changes_nothing(tmp_path, beside):
    (tmp_path / "map.csv").write_text(
        f"well\ttreatment\tDose (ng mL-1; {beside})\nA1\tdrug\t6\n", encoding="utf-8"
    )
    found = read_plate_map(tmp_path / "map.csv")
    assert (found.doses, found.passed) == ({(None, "A1"): ("6", "ng/ml")}, ())


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
    "thousands beside a decimal comma": (
        "well;treatment;dose\nA1;drug;0,5\nA2;drug;1.250\n",
        r"left as they are \(1\.250\)",
    ),
    "thousands": ('well,treatment,dose\nA1,drug,"1,000"\n', r"left as they are \(1,000\)"),
    **{
        f"a dot beside decimal commas: {comma} and {dot}": (
            f"well;treatment;dose (nM)\nA1;drug;{comma}\nA2;drug;{dot}\nA3;drug;5\n",
            rf"doses with a dot \({re.escape(dot)}\) stand beside doses with a decimal comma "
            rf"\({re.escape(comma)}\), and the dot is taken as a decimal one; write all with one mark",
        )
        for comma, dot in (
            *(("0,05", "1.234"), ("1,5", "3.125"), (",5", "12.345 nM"), ("1.234,5", "<1.234")),
            *(("0,125", "0.5"), ("1 000,5", "1,234.5"), ("1,0-2,0", "1.5e3")),
        )
    },
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
        "well;treatment;dose (nM)\nA1;drug;0,05\nA2;drug;1.234,5\nA3;drug;1 000\n",
        "well;treatment;dose (nM)\nA1;drug;0.05\nA2;drug;1,234.5\nA3;drug;3.125\n",
        "treatment,1,2,3\nA,drug,,\n\ndose,1,2,3\nA,5 nM,0 nM,vehicle\n",
    ],
)
def test_doses_whose_units_are_told_or_are_not_needed_are_in_no_doubt(tmp_path, text):
    (tmp_path / "map.csv").write_text(text, encoding="utf-8")
    assert read_plate_map(tmp_path / "map.csv").passed == ()


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
