# From detections to instances, their scores, and a submission.


rule tune:
    """Choose each cell type's thresholds by the competition's metric, a fold's on the other folds."""
    input:
        recipe=lambda wildcards: configs.file("ensembles", wildcards.ensemble),
        detections=rules.ensemble.output.detections,
        images=rules.validate.output.seen,
        truth=rules.validate.output.instances,
        folds=rules.split.output.folds,
    output:
        thresholds="results/{dataset}/tune/{ensemble}.yaml",
    log:
        "logs/{dataset}/tune/{ensemble}.log",
    wildcard_constraints:
        dataset=UNFITTED,
    conda:
        "../../envs/analysis.yaml"
    threads: 4
    resources:
        mem_mb=plan.growing(16000),
        runtime="4h",
    params:
        script=f"{SCRIPTS}/tune.py",
        code=plan.code("tune"),
    shell:
        """
        python {params.script:q} \
            --recipe {input.recipe:q} \
            --detections {input.detections:q} \
            --images {input.images:q} \
            --instances {input.truth:q} \
            --folds {input.folds:q} \
            --threads {threads} \
            --thresholds {output.thresholds:q} \
            2>&1 | tee {log:q}
        """


rule segment:
    """Turn soft detections into disjoint instances, at the thresholds tuned for their detectors."""
    input:
        detections=rules.ensemble.output.detections,
        images=rules.validate.output.seen,
        folds=rules.split.output.folds,
        thresholds=lambda wildcards: configs.thresholds(wildcards.dataset, wildcards.ensemble),
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
        script=f"{SCRIPTS}/segment.py",
        code=plan.code("segment"),
    shell:
        """
        python {params.script:q} \
            --detections {input.detections:q} \
            --images {input.images:q} \
            --folds {input.folds:q} \
            --thresholds {input.thresholds:q} \
            --threads {threads} \
            --instances {output.instances:q} \
            2>&1 | tee {log:q}
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
        script=f"{SCRIPTS}/evaluate.py",
        bootstrap=config["evaluate"]["bootstrap"],
        seed=config["seed"],
        code=plan.code("evaluate"),
    shell:
        """
        python {params.script:q} \
            --instances {input.instances:q} \
            --truth {input.truth:q} \
            --images {input.images:q} \
            --folds {input.folds:q} \
            --bootstrap {params.bootstrap} \
            --seed {params.seed} \
            --metrics {output.metrics:q} \
            --per-image {output.per_image:q} \
            2>&1 | tee {log:q}
        """


rule submit:
    """Write the unannotated images' instances as the competition wants them; refuse what it would."""
    input:
        instances=rules.segment.output.instances,
        images=rules.validate.output.seen,
        split=rules.split.output.folds,
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
        script=f"{SCRIPTS}/submit.py",
        code=plan.code("submit"),
    shell:
        """
        python {params.script:q} \
            --instances {input.instances:q} \
            --images {input.images:q} \
            --submission {output.submission:q} \
            2>&1 | tee {log:q}
        """
