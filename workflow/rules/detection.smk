# From folds to detections: one detector a fold, its predictions, and their fusion.


rule train:
    """Train a model on all folds but one. A killed training goes on from its newest checkpoint when started again."""
    input:
        model="configs/models/{model}.py",
        bases=lambda wildcards: plan.bases(wildcards.model),
        images="results/{dataset}/validate/images.parquet",
        instances="results/{dataset}/validate/instances.parquet",
        folds="results/{dataset}/split/folds.parquet",
        init_from=lambda wildcards: plan.initial(
            wildcards.dataset, wildcards.model, config["train"]["init_from"]
        ),
        pseudo=lambda wildcards: plan.pseudo(
            wildcards.dataset, wildcards.model, wildcards.fold, STUDENTS, HOME
        ),
    output:
        checkpoint="results/{dataset}/train/{model}/fold_{fold}/model.pth",
        config="results/{dataset}/train/{model}/fold_{fold}/config.py",
        scalars="results/{dataset}/train/{model}/fold_{fold}/scalars.json",
    log:
        "logs/{dataset}/train/{model}_fold_{fold}.log",
    benchmark:
        "logs/{dataset}/train/{model}_fold_{fold}.tsv"
    retries: 2
    conda:
        "../../envs/mmdet.yaml"
    threads: 1
    resources:
        gpu=GPU * PROCESSES,
        mem_mb=16000,
        runtime="24h",
    params:
        launcher=plan.launcher(PROCESSES),
        seed=config["seed"],
        version=config["train"]["version"],
        iterations=plan.flag("--iterations", config["train"]["iterations"]),
        init_from=lambda wildcards, input: plan.flag("--init-from", input.init_from),
        pseudo=lambda wildcards, input: plan.flag("--pseudo-instances", input.pseudo),
        work_dir="logs/{dataset}/train/{model}/fold_{fold}",
    shell:
        """
        OMP_NUM_THREADS={threads} python workflow/gpu.py {resources.gpu} {params.launcher} scripts/train.py \
            --model {input.model} \
            --images {input.images} \
            --instances {input.instances} \
            --folds {input.folds} \
            --fold {wildcards.fold} \
            --seed {params.seed} \
            {params.iterations} \
            {params.init_from} \
            {params.pseudo} \
            --work-dir {params.work_dir} \
            --checkpoint {output.checkpoint} \
            --config-out {output.config} \
            --scalars {output.scalars} \
            2>&1 | tee {log}
        """


rule pseudo_label:
    """Let a fold's teacher label the images without annotation, for the fold's student to learn from them as well."""
    input:
        checkpoint=lambda wildcards: (
            f"results/{wildcards.dataset}/train/{STUDENTS[wildcards.model]}/fold_{wildcards.fold}/model.pth"
        ),
        images="results/{dataset}/validate/images.parquet",
        folds="results/{dataset}/split/folds.parquet",
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
        kinds=config["train"]["pseudo_label"]["images"],
        views=config["train"]["pseudo_label"]["views"],
        min_score=plan.pairs(config["train"]["pseudo_label"]["min_score"]),
        version=config["train"]["version"],
    shell:
        """
        OMP_NUM_THREADS={threads} python workflow/gpu.py {resources.gpu} python scripts/pseudo_label.py \
            --checkpoint {input.checkpoint} \
            --images {input.images} \
            --folds {input.folds} \
            --fold {wildcards.fold} \
            --kinds {params.kinds} \
            --views {params.views} \
            --min-score {params.min_score} \
            --instances {output.instances} \
            2>&1 | tee {log}
        """


rule predict:
    """Detect the cells of the images that a fold's detector never saw: those it held out, and those no fold trains on."""
    input:
        checkpoint=lambda wildcards: (
            f"results/{plan.detectors(wildcards.dataset)}/train/{wildcards.model}/fold_{wildcards.fold}/model.pth"
        ),
        images="results/{dataset}/validate/images.parquet",
        folds="results/{dataset}/split/folds.parquet",
    output:
        detections="results/{dataset}/predict/{model}/fold_{fold}.parquet",
    log:
        "logs/{dataset}/predict/{model}_fold_{fold}.log",
    benchmark:
        "logs/{dataset}/predict/{model}_fold_{fold}.tsv"
    conda:
        "../../envs/mmdet.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=16000,
        runtime="4h",
    params:
        **config["predict"],
        code=plan.code("predict"),
    shell:
        """
        OMP_NUM_THREADS={threads} python workflow/gpu.py {resources.gpu} python scripts/predict.py \
            --checkpoint {input.checkpoint} \
            --images {input.images} \
            --folds {input.folds} \
            --fold {wildcards.fold} \
            --source-name {wildcards.model} \
            --views {params.views} \
            --batch-size {params.batch_size} \
            --max-detections {params.max_detections} \
            --min-score {params.min_score} \
            --precision {params.precision} \
            --detections {output.detections} \
            2>&1 | tee {log}
        """


rule ensemble:
    """Fuse the detections of an ensemble's members; held-out images meet one fold a model, test images meet all."""
    input:
        unpack(lambda wildcards: plan.weighing(wildcards.dataset, wildcards.ensemble)),
        recipe="configs/ensembles/{ensemble}.yaml",
        members=lambda wildcards: plan.detections(
            wildcards.dataset, wildcards.ensemble, FOLDS
        ),
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
        images=lambda wildcards, input: plan.flag("--images", input.images),
        instances=lambda wildcards, input: plan.flag("--instances", input.instances),
        folds=lambda wildcards, input: plan.flag("--folds", input.folds),
        chosen=lambda wildcards, input: plan.flag("--chosen", input.chosen),
        code=plan.code("ensemble"),
    shell:
        """
        python scripts/ensemble.py \
            --recipe {input.recipe} \
            --members {input.members} \
            --name {wildcards.ensemble} \
            {params.images} \
            {params.instances} \
            {params.folds} \
            {params.chosen} \
            --threads {threads} \
            --detections {output.detections} \
            --weights {output.weights} \
            2>&1 | tee {log}
        """
