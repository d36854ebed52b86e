# neuroseg: from raw phase-contrast images to fused, scored and measured cells.
#
#   snakemake --cores 8                    the demo
#   snakemake --cores 8 --use-conda        with each rule in its own conda environment
#   snakemake --cores 8 --configfile configs/sartorius.yaml
from snakemake.utils import min_version, validate

min_version("9.27")


configfile: "configs/pipeline.yaml"


validate(config, "workflow/schemas/pipeline.schema.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/detection.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/stages.smk"


rule all:
    default_target: True
    input:
        f"results/{config['dataset']}/report/report.html",
        expand(
            "results/{dataset}/submit/{ensemble}.csv",
            dataset=config["dataset"],
            ensemble=config["ensembles"],
        ),
