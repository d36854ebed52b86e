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
        script=f"{SCRIPTS}/simulate.py",
        seed=config["seed"],
        train_images=config["simulate"]["train_images"],
        test_images=config["simulate"]["test_images"],
        density=config["simulate"]["density"],
        code=plan.code("simulate"),
    shell:
        """
        python {params.script:q} \
            --seed {params.seed} \
            --train-images {params.train_images} \
            --test-images {params.test_images} \
            --density {params.density} \
            --out {output.raw:q} \
            2>&1 | tee {log:q}
        """


# A checkpoint's tables are compared with the last ones before more is computed: what reads none that differs
# does not run. Snakemake compares content up to `max-checksum-file-size` (profiles/default), and asks anew of
# those rules alone that name its output: so all that follow name one of validate's and of split's.
checkpoint validate:
    """Check raw images and annotations; repair or drop what the dataset's policies allow, else stop."""
    input:
        dataset=lambda wildcards: configs.file("datasets", wildcards.dataset),
        raw=lambda wildcards: plan.raw(wildcards.dataset),
    output:
        images="results/{dataset}/validate/images.parquet",
        seen="results/{dataset}/validate/seen.parquet",
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
        script=f"{SCRIPTS}/validate.py",
        code=plan.code("validate"),
    shell:
        """
        python {params.script:q} \
            --dataset {input.dataset:q} \
            --images {output.images:q} \
            --seen {output.seen:q} \
            --instances {output.instances:q} \
            --problems {output.problems:q} \
            2>&1 | tee {log:q}
        """


checkpoint split:
    """Assign annotated images to folds that no well and no field straddles, alike in types and cells."""
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
        script=f"{SCRIPTS}/split.py",
        n_folds=N_FOLDS,
        same_field=plan.flag("--same-field", config["split"]["same_field"]),
        seed=config["seed"],
        code=plan.code("split"),
    shell:
        """
        python {params.script:q} \
            --images {input.images:q} \
            --instances {input.instances:q} \
            --n-folds {params.n_folds} \
            {params.same_field} \
            --seed {params.seed} \
            --folds {output.folds:q} \
            --summary {output.summary:q} \
            2>&1 | tee {log:q}
        """
