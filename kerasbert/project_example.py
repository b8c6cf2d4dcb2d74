"""What a new project holds: ten sentences about invented things in Chinese and in English, and its texts."""

from __future__ import annotations

PREDICATES: dict[str, dict[str, tuple[str, str]]] = {
    "zh": {
        "导演": ("影视作品", "人物"),
        "主演": ("影视作品", "人物"),
        "作者": ("图书作品", "人物"),
        "首都": ("国家", "城市"),
    },
    "en": {
        "director": ("film", "person"),
        "actor": ("film", "person"),
        "author": ("book", "person"),
        "capital": ("country", "city"),
    },
}
"""The predicates of the example, with the types of subject and object."""

EXAMPLES: dict[str, list[tuple[str, list[tuple[str, str, str]]]]] = {
    "zh": [
        (
            "《山雨欲来》由顾砚舟执导，林知遥主演",
            [("山雨欲来", "导演", "顾砚舟"), ("山雨欲来", "主演", "林知遥")],
        ),
        ("电影《北城旧事》的导演是沈怀谷", [("北城旧事", "导演", "沈怀谷")]),
        ("程暮云主演了电影《第七封信》", [("第七封信", "主演", "程暮云")]),
        ("《远山行》的作者是白露", [("远山行", "作者", "白露")]),
        ("陶一鸣写了小说《灯下集》", [("灯下集", "作者", "陶一鸣")]),
        ("青岚是海国的首都", [("海国", "首都", "青岚")]),
        ("林邦的首都是南湾", [("林邦", "首都", "南湾")]),
        (
            "《冬夜的列车》由苏禾执导，程暮云主演",
            [("冬夜的列车", "导演", "苏禾"), ("冬夜的列车", "主演", "程暮云")],
        ),
        ("顾砚舟昨天去了青岚", []),
        ("《河边的人》的作者是林知遥", [("河边的人", "作者", "林知遥")]),
    ],
    "en": [
        (
            "The Quiet Harbor was directed by Mara Lindt and stars Owen Vale",
            [("The Quiet Harbor", "director", "Mara Lindt"), ("The Quiet Harbor", "actor", "Owen Vale")],
        ),
        ("Seven Letters is a film by Ruth Amsel", [("Seven Letters", "director", "Ruth Amsel")]),
        ("Nadia Berg plays the lead in Cold Orchard", [("Cold Orchard", "actor", "Nadia Berg")]),
        ("Peter Holm wrote The Salt Road", [("The Salt Road", "author", "Peter Holm")]),
        ("The author of Lamplight is Ida Crane", [("Lamplight", "author", "Ida Crane")]),
        ("Torvik is the capital of Norland", [("Norland", "capital", "Torvik")]),
        ("The capital of Esteria is Port Alba", [("Esteria", "capital", "Port Alba")]),
        (
            "Winter Train was directed by Owen Vale and stars Nadia Berg",
            [("Winter Train", "director", "Owen Vale"), ("Winter Train", "actor", "Nadia Berg")],
        ),
        ("Mara Lindt went to Torvik yesterday", []),
        ("The author of River People is Ruth Amsel", [("River People", "author", "Ruth Amsel")]),
    ],
}
"""Sentences with their (subject, predicate, object)."""

SMALL = {"dropout": "0.0", "epochs": "60", "batch_size": "2", "learning_rate": "1.0e-3", "head_rate": "1.0"}
"""For a small untrained encoder."""

TO_FINE_TUNE = {"dropout": "0.1", "epochs": "40", "batch_size": "4", "learning_rate": "5.0e-5", "head_rate": "8.0"}
"""For a pretrained encoder and a handful of sentences."""

CONFIG = """\
# What is not set here has its default. Files are looked for from where the command runs, then beside this file.
data:
  train: data/train.jsonl
  # dev: data/dev.jsonl
  # Annotated sentences to choose the threshold on; without them some of the training sentences are kept aside for it.
  # tuning: data/tuning.jsonl
  schema: schema.yaml
model:
  # A pretrained BERT: the unpacked folder of a released checkpoint, or a folder with model.safetensors.
  init: {init}
  lower_case: {lower_case}
  dropout: {dropout}
joint:
  # For a handful of sentences. Thousands of them need far fewer epochs, and batches of 16 or 32.
  epochs: {epochs}
  batch_size: {batch_size}
  learning_rate: {learning_rate}
  # The heads are new: they learn faster than a pretrained encoder, and as fast as one that is new too.
  head_rate: {head_rate}
"""

README = {
    "zh": """\
# 关系抽取项目

```
kerasbert check data/train.jsonl --schema schema.yaml        # 数据里有什么，有什么问题
kerasbert train --config config.yaml --output runs/first     # 训练；中断后再次运行即可继续
kerasbert extract runs/first "《山雨欲来》由顾砚舟执导"
```

`data/train.jsonl` 是十个例句，换成自己的：每行一个 JSON，`text` 是句子，`spo_list` 是三元组。
`schema.yaml` 列出谓语和主语、宾语的类型。标注工具的文件或表格可以导入：

```
kerasbert import csv mine.csv --output data/train.jsonl --force      # 列：text, subject, predicate, object
kerasbert import label-studio export.json --output data/all.jsonl
kerasbert split data/all.jsonl --output data/split                   # 近似重复的句子在同一部分
```

每次导入都在旁边写出建议的模式，如 `data/train.jsonl.schema.json`：把其中的谓语加入 `schema.yaml`，
或在 `config.yaml` 的 `data.schema` 中写上它的名字。

模型帮助下一轮标注，并给出报告：

```
kerasbert rank runs/first texts.txt --output ranked.jsonl --top 100
kerasbert export-annotations label-studio ranked.jsonl --output tasks.json
kerasbert report data/split/test.jsonl --model runs/first --output report.html
```

`init/` 如果存在，是一个未经预训练的小编码器，只用来试运行。
要得到好的结果，请在 `config.yaml` 的 `model.init` 中填写预训练 BERT 的目录。
""",
    "en": """\
# A relation extraction project

```
kerasbert check data/train.jsonl --schema schema.yaml        # what the data holds, and what is wrong with it
kerasbert train --config config.yaml --output runs/first     # the same command goes on after an interruption
kerasbert extract runs/first "Seven Letters is a film by Ruth Amsel"
```

`data/train.jsonl` holds ten examples; put your own in their place: one JSON object a line, `text` is the sentence,
`spo_list` its triples. `schema.yaml` lists the predicates with the types of subject and object. Tables and the files
of annotation tools can be imported:

```
kerasbert import csv mine.csv --output data/train.jsonl --force      # columns: text, subject, predicate, object
kerasbert import label-studio export.json --output data/all.jsonl
kerasbert split data/all.jsonl --output data/split                   # near-duplicates stay together
```

Each import proposes a schema, as `data/train.jsonl.schema.json`: put its predicates into `schema.yaml`, or name it in
`config.yaml` under `data.schema`.

The model helps with the next round of annotation, and reports on itself:

```
kerasbert rank runs/first texts.txt --output ranked.jsonl --top 100
kerasbert export-annotations label-studio ranked.jsonl --output tasks.json
kerasbert report data/split/test.jsonl --model runs/first --output report.html
```

`init/`, if it is there, is a small encoder without any pretraining, to try things out. For good results, name the
folder of a pretrained BERT in `config.yaml` under `model.init`.
""",
}
