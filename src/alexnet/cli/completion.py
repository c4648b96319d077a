"""`alexnet completion SHELL`: a script that completes verbs and flags, from the dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Literal

import tyro

from alexnet.cli import VERBS
from alexnet.cli.flag_list import flag_names
from alexnet.cli.flags import parse
from alexnet.cli.outputs import OUTPUTS
from alexnet.pretraining.recipe import KINDS

COMMANDS = {
    "train": "train:TrainFlags",
    "tune": "tune:TuneFlags",
    "evaluate": "evaluate:EvaluateFlags",
    "predict": "predict:PredictFlags",
    "explain": "explain:ExplainFlags",
    "serve": "serve:ServeFlags",
    "compare": "compare:CompareFlags",
    "report": "report:ReportFlags",
    "info": "info:InfoFlags",
    "summary": "summary:SummaryFlags",
    "import": "import_:ImportFlags",
    "export": "export:ExportFlags",
    "doctor": "doctor:DoctorFlags",
    "log": "log:LogFlags",
    "push": "push:PushFlags",
    "runs": "runs:RunsFlags",
    "runs clean": "runs:CleanFlags",
    "runs remove": "runs:RemoveFlags",
    "cache list": "cache:ListFlags",
    "cache clean": "cache:CleanFlags",
    "data prepare": "data:PrepareFlags",
    "data check": "data:CheckFlags",
    "data split": "data:SplitFlags",
    "data show": "data:ShowFlags",
    "data mistakes": "mistakes:MistakesFlags",
    "benchmark train": "benchmark:TrainFlags",
    "benchmark infer": "benchmark:NetworkFlags",
    "benchmark data": "benchmark:DataFlags",
    "benchmark agreement": "benchmark:AgreementFlags",
    "experiment list": "experiment:ListFlags",
    "experiment plan": "experiment_plan:PlanFlags",
    "experiment run": "experiment_run:RunFlags",
    "experiment report": "experiment:ReportFlags",
    "pretrain autoencoder": "pretrain:PretrainFlags",
    "pretrain rbm": "pretrain:PretrainFlags",
}
"""The module and the dataclass of the flags of each command that has flags."""
MODES = {"explain": ("explain_filters:FiltersFlags", "explain_neighbors:NeighborsFlags")}
"""The dataclasses of the other modes of a command, which one of its flags selects."""


SCRIPTS = {
    "bash": (
        "    '{typed} '*) known='{known}' ;;\n",
        """_alexnet() {{
  local known='' typed="${{COMP_WORDS[*]:1:COMP_CWORD-1}} "
  case "$typed" in
{cases}  esac
  COMPREPLY=($(compgen -W "$known" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _alexnet alexnet
""",
    ),
    "zsh": (
        "    '{typed} '*) known='{known}' ;;\n",
        """_alexnet() {{
  local known='' typed="${{(j: :)words[2,CURRENT-1]}} "
  case "$typed" in
{cases}  esac
  compadd -- ${{=known}}
  _files
}}
compdef _alexnet alexnet
""",
    ),
    "fish": (
        "    case '{typed} *'\n      string split ' ' '{known}'\n",
        """function __alexnet_words
  set -l typed (commandline -opc)
  set -e typed[1]
  switch "$typed "
{cases}  end
end
complete -c alexnet -a '(__alexnet_words)'
""",
    ),
    "powershell": (
        "    '{typed} *' {{ '{known}'; break }}\n",
        """Register-ArgumentCompleter -Native -CommandName alexnet -ScriptBlock {{
  param($word, $command, $position)
  $typed = @($command.CommandElements | Select-Object -Skip 1 | ForEach-Object {{ "$_" }})
  if ($word) {{ $typed = @($typed | Select-Object -SkipLast 1) }}
  $known = switch -Wildcard ("$typed ") {{
{cases}  }}
  $known -split ' ' | Where-Object {{ $_ -like "$word*" }} |
    ForEach-Object {{ [System.Management.Automation.CompletionResult]::new($_) }}
}}
""",
    ),
}
"""For each shell the template of a case and of the script; the first matching case is used."""


@dataclass(frozen=True, kw_only=True)
class CompletionFlags:
    """Print a script that completes verbs, actions and flags in a shell."""

    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="{bash,zsh,fish,powershell}"),
    ]
    """The shell, which reads the script when it starts; fish reads it from
    ~/.config/fish/completions/alexnet.fish."""


def run(arguments: Sequence[str]) -> int:
    """Print the script."""
    shell = parse(CompletionFlags, arguments, "completion").shell
    case, script = SCRIPTS[shell]
    cases = [case.format(typed=k, known=" ".join(v)) for k, v in known_words().items()]
    print(script.format(cases="".join(cases)), end="")
    return 0


def known_words() -> dict[str, list[str]]:
    """The words that can follow each command, by the words typed so far; the longest come first.

    The key "" is for an empty line.
    """
    words = {command: [*_flags(command), "--help", "--help-all"] for command in COMMANDS}
    words["completion"] = list(SCRIPTS)
    words["schema"] = list(dict.fromkeys(word for key in OUTPUTS for word in key.split()))
    for command in COMMANDS:
        verb, _, action = command.partition(" ")
        if action:
            words[verb] = [action, *words.get(verb, [])]
    words["help"] = list(VERBS)
    words = dict(sorted(words.items(), key=lambda item: -len(item[0].split())))
    return {**words, "": [*VERBS, "help"]}


def _flags(command: str) -> list[str]:
    kind = KINDS.get(command.partition(" ")[2])
    names: dict[str, None] = {}
    for place in (COMMANDS[command], *MODES.get(command, ())):
        module, _, name = place.partition(":")
        cls = getattr(import_module(f"alexnet.cli.{module}"), name)
        names |= dict.fromkeys(flag_names(cls, cls(recipe=kind()) if kind else None))
    return list(names)
