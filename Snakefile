# neuroseg: from raw phase-contrast images to fused, scored and measured cells.
#
#   snakemake --cores 8                    the demo, a line a step; VERBOSE=1 before it shows all that is said
#   snakemake --cores 8 --use-conda        with each rule in its own conda environment
#   snakemake --cores 8 --configfile configs/sartorius.yaml
#   snakemake --cores 8 --snakefile path/to/Snakefile --directory elsewhere
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")
if Path("configs/pipeline.yaml").is_file():

    configfile: "configs/pipeline.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/detection.smk"
include: "workflow/rules/instances.smk"
include: "workflow/rules/results.smk"
include: "workflow/rules/stages.smk"


rule all:
    default_target: True
    input:
        expand(rules.report.output.report, dataset=DATASET),
        expand(rules.submit.output.submission, dataset=DATASET, ensemble=ENSEMBLES),
        expand(rules.export.output.folder, dataset=DATASET, ensemble=ENSEMBLES),


onerror:
    plan.set_page_aside(DATASET, STARTED)
    stopping.leave()
