# What is made of the instances: measurements, files for other programs, the report.


rule quantify:
    """Measure every cell, and sum up every image and well: shape, surroundings, count, confluence."""
    input:
        instances=rules.segment.output.instances,
        images=rules.validate.output.images,
        remarks=lambda wildcards: expand(
            rules.predict.output.remarks,
            dataset=wildcards.dataset,
            model=plan.models([wildcards.ensemble]),
            fold=plan.folds(HOME, FOLDS),
        ),
    output:
        cells="results/{dataset}/quantify/{ensemble}/cells.parquet",
        cells_csv="results/{dataset}/quantify/{ensemble}/cells.csv",
        summary="results/{dataset}/quantify/{ensemble}/images.csv",
        wells="results/{dataset}/quantify/{ensemble}/wells.csv",
        dictionary="results/{dataset}/quantify/{ensemble}/measures.csv",
    log:
        "logs/{dataset}/quantify/{ensemble}.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=plan.growing(8000),
        runtime="2h",
    params:
        script=f"{SCRIPTS}/quantify.py",
        code=plan.code("quantify"),
    shell:
        """
        python {params.script:q} \
            --instances {input.instances:q} \
            --images {input.images:q} \
            --remarks {input.remarks:q} \
            --cells {output.cells:q} \
            --cells-csv {output.cells_csv:q} \
            --summary {output.summary:q} \
            --wells {output.wells:q} \
            --dictionary {output.dictionary:q} \
            2>&1 | tee {log:q}
        """


rule export:
    """Write the cells as files that Fiji, QuPath, napari and Cellpose open, and draw their outlines."""
    input:
        instances=rules.segment.output.instances,
        images=rules.validate.output.seen,
        split=rules.split.output.folds,
    output:
        folder=directory("results/{dataset}/export/{ensemble}"),
    log:
        "logs/{dataset}/export/{ensemble}.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=plan.growing(8000),
        runtime="4h",
    params:
        script=f"{SCRIPTS}/export.py",
        formats=plan.flag("--formats", config["export"]["formats"]),
        code=plan.code("export"),
    shell:
        """
        python {params.script:q} \
            --instances {input.instances:q} \
            --images {input.images:q} \
            {params.formats} \
            --out {output.folder:q} \
            2>&1 | tee {log:q}
        """


rule report:
    """Gather scores, curves, overlays, problems and counts into one page that opens offline."""
    input:
        unpack(lambda wildcards: plan.scored(rules, wildcards.dataset, ENSEMBLES, FOLDS)),
        images=rules.validate.output.images,
        truth=rules.validate.output.instances,
        problems=rules.validate.output.problems,
        fold_summary=rules.split.output.summary,
        segments=expand(rules.segment.output.instances, ensemble=ENSEMBLES, allow_missing=True),
        cells=expand(rules.quantify.output.cells, ensemble=ENSEMBLES, allow_missing=True),
        quantities=expand(rules.quantify.output.summary, ensemble=ENSEMBLES, allow_missing=True),
        wells=expand(rules.quantify.output.wells, ensemble=ENSEMBLES, allow_missing=True),
        remarks=expand(
            rules.predict.output.remarks,
            model=plan.models(ENSEMBLES),
            fold=plan.folds(HOME, FOLDS),
            allow_missing=True,
        ),
    output:
        report=report(
            "results/{dataset}/report/report.html",
            caption="../captions/page.rst",
            category="Page",
        ),
        charts=report(
            directory("results/{dataset}/report/charts"),
            patterns=["{name}.svg"],
            caption="../captions/charts.rst",
            category="Charts",
        ),
    log:
        "logs/{dataset}/report.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=plan.growing(8000),
        runtime="1h",
    params:
        script=f"{SCRIPTS}/report.py",
        title=lambda wildcards: configs.title(wildcards.dataset),
        detectors=lambda wildcards: [] if HOME == wildcards.dataset else ["--detectors", HOME],
        code=plan.code("report"),
    shell:
        """
        python {params.script:q} \
            --dataset-name {params.title:q} \
            {params.detectors:q} \
            --images {input.images:q} \
            --truth {input.truth:q} \
            --problems {input.problems:q} \
            --fold-summary {input.fold_summary:q} \
            --segments {input.segments:q} \
            --quantities {input.quantities:q} \
            --wells {input.wells:q} \
            --cells {input.cells:q} \
            --remarks {input.remarks:q} \
            --scalars {input.scalars:q} \
            --metrics {input.metrics:q} \
            --per-image {input.per_image:q} \
            --out {output.report:q} \
            2>&1 | tee {log:q}
        """
