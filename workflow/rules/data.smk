# From raw files to checked tables and folds.


rule simulate:
    """Draw the demo's cultures in the competition's own layout, with known truth and planted faults."""
    output:
        raw=directory(plan.SIMULATED),
    log:
        "logs/demo/simulate.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=plan.growing(4000),
        runtime="1h",
    params:
        seed=config["seed"],
        train_images=config["simulate"]["train_images"],
        test_images=config["simulate"]["test_images"],
        code=plan.code("simulate"),
    shell:
        """
        python scripts/simulate.py \
            --seed {params.seed} \
            --train-images {params.train_images} \
            --test-images {params.test_images} \
            --out {output.raw} \
            2>&1 | tee {log}
        """


rule validate:
    """Check raw images and annotations; repair or drop what the dataset's policies allow, stop at what they do not."""
    input:
        dataset="configs/datasets/{dataset}.yaml",
        raw=lambda wildcards: plan.raw(wildcards.dataset),
    output:
        images="results/{dataset}/validate/images.parquet",
        instances="results/{dataset}/validate/instances.parquet",
        problems="results/{dataset}/validate/problems.csv",
    log:
        "logs/{dataset}/validate.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=plan.growing(8000),
        runtime="4h",
    params:
        code=plan.code("validate"),
    shell:
        """
        python scripts/validate.py \
            --dataset {input.dataset} \
            --images {output.images} \
            --instances {output.instances} \
            --problems {output.problems} \
            2>&1 | tee {log}
        """


rule split:
    """Deal the annotated images into folds that no well straddles, alike in cell types and cells."""
    input:
        images=rules.validate.output.images,
        instances=rules.validate.output.instances,
    output:
        folds="results/{dataset}/split/folds.parquet",
        summary="results/{dataset}/split/summary.csv",
    log:
        "logs/{dataset}/split.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=plan.growing(4000),
        runtime="30m",
    params:
        n_folds=N_FOLDS,
        seed=config["seed"],
        code=plan.code("split"),
    shell:
        """
        python scripts/split.py \
            --images {input.images} \
            --instances {input.instances} \
            --n-folds {params.n_folds} \
            --seed {params.seed} \
            --folds {output.folds} \
            --summary {output.summary} \
            2>&1 | tee {log}
        """
