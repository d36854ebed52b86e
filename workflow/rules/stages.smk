# One target a stage, for dvc.yaml: `snakemake --allowed-rules train all_train -- all_train` trains every fold
# in one call.
for stage, files in plan.targets(rules, DATASET, ENSEMBLES, FOLDS, STUDENTS).items():

    rule:
        name:
            f"all_{stage}"
        input:
            files,
        localrule: True
