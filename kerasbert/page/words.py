"""What the page says, in Chinese and in English."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """The labels of the page in one language; those with braces are completed with `str.format`."""

    language: str
    title: str
    text: str
    placeholder: str
    extract: str
    threshold: str
    predicate_threshold: str
    mentions: str
    triples: str
    graph: str
    schema: str
    download: str
    subject: str
    predicate: str
    object: str
    types: str
    offsets: str
    certainty: str
    found: str
    nothing: str
    waiting: str
    too_long: str
    unusable: str


CHINESE = Words(
    language="中文",
    title="关系抽取",
    text="文本",
    placeholder="在此粘贴一段文本",
    extract="抽取",
    threshold="三元组的最低置信度",
    predicate_threshold="谓词的最低概率",
    mentions="文中的实体",
    triples="三元组",
    graph="关系图",
    schema="模型认识的关系",
    download="下载 JSON",
    subject="主语",
    predicate="谓词",
    object="宾语",
    types="类型",
    offsets="位置",
    certainty="置信度",
    found="{triples} 个三元组，{characters} 个字符",
    nothing="没有找到三元组",
    waiting="请粘贴文本并点击“抽取”",
    too_long="文本有 {characters} 个字符，最多 {limit} 个；较长的文本请用 kerasbert extract",
    unusable="文本无法使用：含有 NUL 字符或不完整的代理对",
)
ENGLISH = Words(
    language="English",
    title="Relation extraction",
    text="Text",
    placeholder="Paste a text here",
    extract="Extract",
    threshold="Least confidence of a triple",
    predicate_threshold="Least probability of a predicate",
    mentions="Mentions in the text",
    triples="Triples",
    graph="Graph",
    schema="Relations that the model knows",
    download="Download JSON",
    subject="subject",
    predicate="predicate",
    object="object",
    types="types",
    offsets="offsets",
    certainty="confidence",
    found="triples: {triples}, characters: {characters}",
    nothing="No triple found",
    waiting="Paste a text and press “Extract”",
    too_long="The text has {characters} characters, {limit} are allowed; for longer ones there is kerasbert extract",
    unusable="The text cannot be used: it holds a NUL character or half of a surrogate pair",
)
LANGUAGES = {words.language: words for words in (CHINESE, ENGLISH)}


def preferred(accept_language: str) -> Words:
    """The words for a browser, by its header `Accept-Language`."""
    return CHINESE if accept_language.strip().lower().startswith("zh") else ENGLISH
