# From folds to detections: one detector a fold, its predictions, and their fusion.


rule train:
    """Train a model on all folds but one. A killed training goes on from its newest checkpoint."""
    input:
        model=lambda wildcards: configs.file("models", wildcards.model, ".py"),
        bases=lambda wildcards: plan.bases(wildcards.model),
        images=rules.validate.output.seen,
        instances=rules.validate.output.instances,
        folds=rules.split.output.folds,
        init_from=lambda wildcards: plan.initial(
            rules, wildcards.dataset, wildcards.model, config["train"]["init_from"]
        ),
        further=lambda wildcards: expand(
            [rules.validate.output.images, rules.validate.output.instances],
            dataset=list(plan.further(wildcards.dataset, wildcards.model, TOGETHER)),
        ),
        pseudo=lambda wildcards: (
            expand(rules.pseudo_label.output.instances, **wildcards)
            if plan.taught(wildcards.dataset, wildcards.model, STUDENTS, HOME)
            else []
        ),
    output:
        checkpoint="results/{dataset}/train/{model}/fold_{fold}/model.pth",
        config="results/{dataset}/train/{model}/fold_{fold}/config.py",
        scalars="results/{dataset}/train/{model}/fold_{fold}/scalars.json",
    log:
        "logs/{dataset}/train/{model}_fold_{fold}.log",
    benchmark:
        "logs/{dataset}/train/{model}_fold_{fold}.tsv"
    wildcard_constraints:
        dataset=UNFITTED,
    retries: 2
    conda:
        "../../envs/mmdet.yaml"
    threads: 1
    resources:
        gpu=GPU * PROCESSES,
        mem_mb=16000,
        runtime="24h",
    params:
        script=f"{SCRIPTS}/train.py",
        gpus=GPUS,
        launcher=plan.launcher(PROCESSES),
        seed=config["seed"],
        version=config["train"]["version"],
        iterations=lambda wildcards: plan.flag(
            "--iterations",
            plan.iterations(wildcards.dataset, wildcards.model, config["train"]["iterations"]),
        ),
        precision=config["train"]["precision"],
        half="--half" if config["train"]["half"] else "",
        init_from=lambda wildcards, input: plan.flag("--init-from", input.init_from),
        pseudo=lambda wildcards, input: plan.flag("--pseudo-instances", input.pseudo),
        further=lambda wildcards: plan.further_flag(
            rules.validate.output.images, plan.further(wildcards.dataset, wildcards.model, TOGETHER)
        ),
        # A version of its own folder, so that no killed training of the code before is gone on with; the first
        # has no number in it, as this is a parameter, a change of which trains anew.
        work_dir="logs/{dataset}/train/{model}/fold_{fold}"
        + (f"_version_{config['train']['version']}" if config["train"]["version"] != 1 else ""),
    shell:
        """
        OMP_NUM_THREADS={threads} python {params.gpus:q} {resources.gpu} {params.launcher} {params.script:q} \
            --model {input.model:q} \
            --images {input.images:q} \
            --instances {input.instances:q} \
            --folds {input.folds:q} \
            --fold {wildcards.fold:q} \
            --seed {params.seed} \
            {params.iterations} \
            --precision {params.precision} \
            {params.half} \
            {params.init_from} \
            {params.pseudo} \
            {params.further} \
            --work-dir {params.work_dir:q} \
            --checkpoint {output.checkpoint:q} \
            --config-out {output.config:q} \
            --scalars {output.scalars:q} \
            2>&1 | tee {log:q}
        """


rule pseudo_label:
    """Let a fold's teacher label the images without annotation, for the fold's student to learn from."""
    input:
        checkpoint=lambda wildcards: expand(
            rules.train.output.checkpoint,
            dataset=wildcards.dataset,
            model=STUDENTS[wildcards.model],
            fold=wildcards.fold,
        ),
        images=rules.validate.output.images,
        folds=rules.split.output.folds,
    output:
        instances="results/{dataset}/train/{model}/fold_{fold}/pseudo.parquet",
    log:
        "logs/{dataset}/pseudo_label/{model}_fold_{fold}.log",
    benchmark:
        "logs/{dataset}/pseudo_label/{model}_fold_{fold}.tsv"
    conda:
        "../../envs/mmdet.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=16000,
        runtime="4h",
    params:
        script=f"{SCRIPTS}/pseudo_label.py",
        gpus=GPUS,
        kinds=config["train"]["pseudo_label"]["images"],
        views=config["train"]["pseudo_label"]["views"],
        min_score=plan.pairs(config["train"]["pseudo_label"]["min_score"]),
        batch_size=config["predict"]["batch_size"],
        max_detections=config["predict"]["max_detections"],
        precision=config["predict"]["precision"],
        version=config["train"]["version"],
    shell:
        """
        OMP_NUM_THREADS={threads} python {params.gpus:q} {resources.gpu} python {params.script:q} \
            --checkpoint {input.checkpoint:q} \
            --images {input.images:q} \
            --folds {input.folds:q} \
            --fold {wildcards.fold:q} \
            --kinds {params.kinds:q} \
            --views {params.views:q} \
            --min-score {params.min_score} \
            --batch-size {params.batch_size} \
            --max-detections {params.max_detections} \
            --precision {params.precision} \
            --instances {output.instances:q} \
            2>&1 | tee {log:q}
        """


rule predict:
    """Detect the cells of images that a fold's detector never saw: those it held out, those of no fold."""
    input:
        checkpoint=lambda wildcards: configs.checkpoint(wildcards.dataset, wildcards.model, wildcards.fold),
        images=rules.validate.output.seen,
        folds=rules.split.output.folds,
    output:
        detections="results/{dataset}/predict/{model}/fold_{fold}.parquet",
        remarks="results/{dataset}/predict/{model}/fold_{fold}.remarks.json",
    log:
        "logs/{dataset}/predict/{model}_fold_{fold}.log",
    benchmark:
        "logs/{dataset}/predict/{model}_fold_{fold}.tsv"
    conda:
        "../../envs/mmdet.yaml"
    threads: CORES
    resources:
        gpu=GPU,
        mem_mb=16000,
        runtime="4h",
    params:
        **config["predict"],
        script=f"{SCRIPTS}/predict.py",
        gpus=GPUS,
        held_out=lambda wildcards, input: plan.held_out(wildcards.dataset, input.folds, wildcards.fold),
        code=plan.code("predict"),
    shell:
        """
        OMP_NUM_THREADS=1 python {params.gpus:q} {resources.gpu} python {params.script:q} \
            --checkpoint {input.checkpoint:q} \
            --images {input.images:q} \
            {params.held_out} \
            --source-name {wildcards.model:q} \
            --views {params.views:q} \
            --batch-size {params.batch_size} \
            --max-detections {params.max_detections} \
            --min-score {params.min_score} \
            --proposals {params.proposals} \
            --precision {params.precision} \
            --threads {threads} \
            --detections {output.detections:q} \
            --remarks {output.remarks:q} \
            2>&1 | tee {log:q}
        """


rule ensemble:
    """Fuse the detections of an ensemble's members: one detector a model for held-out images, else all."""
    input:
        unpack(lambda wildcards: plan.weighing(rules, wildcards.dataset, wildcards.ensemble)),
        recipe=lambda wildcards: configs.file("ensembles", wildcards.ensemble),
        seen=rules.validate.output.seen,
        split=rules.split.output.folds,
        members=lambda wildcards: plan.detections(rules, wildcards.dataset, wildcards.ensemble, FOLDS),
    output:
        detections="results/{dataset}/ensemble/{ensemble}.parquet",
        weights="results/{dataset}/ensemble/{ensemble}.weights.yaml",
    log:
        "logs/{dataset}/ensemble/{ensemble}.log",
    conda:
        "../../envs/analysis.yaml"
    threads: 4
    resources:
        mem_mb=plan.growing(16000),
        runtime="4h",
    params:
        script=f"{SCRIPTS}/ensemble.py",
        images=lambda wildcards, input: plan.flag("--images", input.images),
        instances=lambda wildcards, input: plan.flag("--instances", input.instances),
        folds=lambda wildcards, input: plan.flag("--folds", input.folds),
        chosen=lambda wildcards, input: plan.flag("--chosen", input.chosen),
        code=plan.code("ensemble"),
    shell:
        """
        python {params.script:q} \
            --recipe {input.recipe:q} \
            --members {input.members:q} \
            --name {wildcards.ensemble:q} \
            {params.images} \
            {params.instances} \
            {params.folds} \
            {params.chosen} \
            --threads {threads} \
            --detections {output.detections:q} \
            --weights {output.weights:q} \
            2>&1 | tee {log:q}
        """
