"""What commands print with `--json`: a dataclass each, from which its JSON Schema is made.

    json_schema  the schema of a dataclass
    train, ..    the dataclasses of commands whose result is not one of the library already

A command prints its dataclass by `console.print_json`. `alexnet schema` shows the schemas.
"""

from __future__ import annotations

from importlib import import_module

OUTPUTS = {
    "train": "cli.outputs.train:TrainOutput",
    "train --dry-run": "training.dry_run:RunPlan",
    "train --find-lr": "cli.outputs.train:FindLROutput",
    "train --overfit-one-batch": "cli.outputs.train:OverfitOutput",
    "tune": "tune.results:TuneResult",
    "tune --dry-run": "cli.outputs.tune:TunePlanOutput",
    "pretrain autoencoder": "cli.outputs.pretrain:PretrainOutput",
    "pretrain rbm": "cli.outputs.pretrain:PretrainOutput",
    "evaluate": "evaluation.summary:EvaluationSummary",
    "report": "cli.outputs.report:ReportOutput",
    "predict": "cli.outputs.predict:PredictOutput",
    "explain": "cli.outputs.explain:ExplainOutput",
    "explain --filters": "cli.outputs.filters:FiltersOutput",
    "explain --neighbors": "cli.outputs.neighbors:NeighborsOutput",
    "explain --map": "cli.outputs.neighbors:MapOutput",
    "serve": "cli.outputs.serve:ServeOutput",
    "compare": "cli.outputs.compare:CompareOutput",
    "info": "cli.outputs.info:InfoOutput",
    "log": "cli.outputs.log:LogOutput",
    "runs": "cli.outputs.runs:RunsOutput",
    "runs clean": "cli.outputs.runs:RemovalOutput",
    "runs remove": "cli.outputs.runs:RemovalOutput",
    "cache list": "cli.outputs.cache:CacheListOutput",
    "cache clean": "cli.outputs.cache:CacheCleanOutput",
    "summary": "cli.outputs.summary:SummaryOutput",
    "summary NET": "models.summary:NetworkSummary",
    "summary NET --format tutorial": "models.tutorial_table:TutorialSummary",
    "summary NET --devices": "parallel.summary:ParallelSummary",
    "summary NET NET": "models.comparison:NetworkComparison",
    "data prepare": "cli.outputs.data:PrepareOutput",
    "data check": "cli.outputs.data:CheckOutput",
    "data split": "cli.outputs.data:SplitOutput",
    "data show": "cli.outputs.data:ShowOutput",
    "data mistakes": "cli.outputs.mistakes:MistakesOutput",
    "data mistakes --apply": "cli.outputs.mistakes:AppliedOutput",
    "import": "cli.outputs.import_:ImportOutput",
    "export": "interop.export_report:ExportReport",
    "push": "cli.outputs.push:PushOutput",
    "benchmark train": "benchmark.throughput:Throughput",
    "benchmark train --devices": "benchmark.processes:ProcessesThroughput",
    "benchmark infer": "benchmark.throughput:Throughput",
    "benchmark data": "benchmark.data:DataThroughput",
    "benchmark agreement": "benchmark.agreement:Agreement",
    "experiment list": "cli.outputs.experiments:ExperimentListOutput",
    "experiment plan": "cli.outputs.experiment_power:ExperimentPowerOutput",
    "experiment run": "experiments.results:ExperimentResult",
    "experiment run --dry-run": "cli.outputs.experiment_plan:ExperimentPlanOutput",
    "experiment report": "cli.outputs.verdicts:ExperimentReportOutput",
    "doctor": "cli.outputs.doctor:DoctorOutput",
}
"""The module and the dataclass that each command prints with --json; words that change the output
are part of the command."""


def output_class(command: str) -> type:
    """The dataclass that a command of `OUTPUTS` prints."""
    module, _, name = OUTPUTS[command].partition(":")
    cls: type = getattr(import_module(f"alexnet.{module}"), name)
    return cls
