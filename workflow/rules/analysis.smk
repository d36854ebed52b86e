# From detections to instances, scores, a submission, measurements and the report.


rule tune:
    """Choose each cell type's thresholds by the competition's metric; those of a fold are chosen on the other folds."""
    input:
        recipe="configs/ensembles/{ensemble}.yaml",
        detections=rules.ensemble.output.detections,
        images=rules.validate.output.images,
        truth=rules.validate.output.instances,
        folds=rules.split.output.folds,
    output:
        thresholds="results/{dataset}/tune/{ensemble}.yaml",
    log:
        "logs/{dataset}/tune/{ensemble}.log",
    conda:
        "../../envs/analysis.yaml"
    threads: 4
    resources:
        mem_mb=plan.growing(16000),
        runtime="4h",
    params:
        code=plan.code("tune"),
    shell:
        """
        python scripts/tune.py \
            --recipe {input.recipe} \
            --detections {input.detections} \
            --images {input.images} \
            --instances {input.truth} \
            --folds {input.folds} \
            --threads {threads} \
            --thresholds {output.thresholds} \
            2>&1 | tee {log}
        """


rule segment:
    """Turn soft detections into disjoint instances, at the thresholds tuned on the dataset whose detectors predicted."""
    input:
        detections=rules.ensemble.output.detections,
        images=rules.validate.output.images,
        folds=rules.split.output.folds,
        thresholds=lambda wildcards: (
            f"results/{plan.detectors(wildcards.dataset)}/tune/{wildcards.ensemble}.yaml"
        ),
    output:
        instances="results/{dataset}/segment/{ensemble}.parquet",
    log:
        "logs/{dataset}/segment/{ensemble}.log",
    conda:
        "../../envs/analysis.yaml"
    threads: 4
    resources:
        mem_mb=plan.growing(8000),
        runtime="4h",
    params:
        code=plan.code("segment"),
    shell:
        """
        python scripts/segment.py \
            --detections {input.detections} \
            --images {input.images} \
            --folds {input.folds} \
            --thresholds {input.thresholds} \
            --threads {threads} \
            --instances {output.instances} \
            2>&1 | tee {log}
        """


rule evaluate:
    """Score the held-out images by the competition's metric, with intervals over wells, and by COCO's."""
    input:
        instances=rules.segment.output.instances,
        truth=rules.validate.output.instances,
        images=rules.validate.output.images,
        folds=rules.split.output.folds,
    output:
        metrics="results/{dataset}/evaluate/{ensemble}.json",
        per_image="results/{dataset}/evaluate/{ensemble}.parquet",
    log:
        "logs/{dataset}/evaluate/{ensemble}.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=plan.growing(8000),
        runtime="2h",
    params:
        bootstrap=config["evaluate"]["bootstrap"],
        seed=config["seed"],
        code=plan.code("evaluate"),
    shell:
        """
        python scripts/evaluate.py \
            --instances {input.instances} \
            --truth {input.truth} \
            --images {input.images} \
            --folds {input.folds} \
            --bootstrap {params.bootstrap} \
            --seed {params.seed} \
            --metrics {output.metrics} \
            --per-image {output.per_image} \
            2>&1 | tee {log}
        """


rule submit:
    """Write the unannotated images' instances as the competition wants them, past a gate that refuses what it would."""
    input:
        instances=rules.segment.output.instances,
        images=rules.validate.output.images,
    output:
        submission="results/{dataset}/submit/{ensemble}.csv",
    log:
        "logs/{dataset}/submit/{ensemble}.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=plan.growing(4000),
        runtime="30m",
    params:
        code=plan.code("submit"),
    shell:
        """
        python scripts/submit.py \
            --instances {input.instances} \
            --images {input.images} \
            --submission {output.submission} \
            2>&1 | tee {log}
        """


rule quantify:
    """Measure every cell and every image: shape, brightness, count, confluence."""
    input:
        instances=rules.segment.output.instances,
        images=rules.validate.output.images,
    output:
        cells="results/{dataset}/quantify/{ensemble}/cells.parquet",
        summary="results/{dataset}/quantify/{ensemble}/images.csv",
    log:
        "logs/{dataset}/quantify/{ensemble}.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=plan.growing(8000),
        runtime="2h",
    params:
        code=plan.code("quantify"),
    shell:
        """
        python scripts/quantify.py \
            --instances {input.instances} \
            --images {input.images} \
            --cells {output.cells} \
            --summary {output.summary} \
            2>&1 | tee {log}
        """


rule report:
    """Gather scores, curves, overlays, problems and counts into one page that opens offline."""
    input:
        unpack(lambda wildcards: plan.scored(wildcards.dataset, ENSEMBLES, FOLDS)),
        images=rules.validate.output.images,
        truth=rules.validate.output.instances,
        problems=rules.validate.output.problems,
        fold_summary=rules.split.output.summary,
        segments=expand(
            rules.segment.output.instances, ensemble=ENSEMBLES, allow_missing=True
        ),
        cells=expand(
            rules.quantify.output.cells, ensemble=ENSEMBLES, allow_missing=True
        ),
        quantities=expand(
            rules.quantify.output.summary, ensemble=ENSEMBLES, allow_missing=True
        ),
    output:
        report="results/{dataset}/report/report.html",
    log:
        "logs/{dataset}/report.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=plan.growing(8000),
        runtime="1h",
    params:
        code=plan.code("report"),
    shell:
        """
        python scripts/report.py \
            --dataset-name {wildcards.dataset} \
            --images {input.images} \
            --truth {input.truth} \
            --problems {input.problems} \
            --fold-summary {input.fold_summary} \
            --segments {input.segments} \
            --quantities {input.quantities} \
            --cells {input.cells} \
            --scalars {input.scalars} \
            --metrics {input.metrics} \
            --per-image {input.per_image} \
            --out {output.report} \
            2>&1 | tee {log}
        """
