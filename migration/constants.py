"""What the legacy system fixes in its scripts: its predicates with their argument types, and its token labels."""

from __future__ import annotations

from kerasbert.models.labels import LEGACY_LABELS
from kerasbert.schema import Schema

# The rows of DuIE 1.0's `all_50_schemas` as (predicate, subject type, object type). The order matters only for
# 成立日期, which has two signatures: decoding always takes the first.
_SIGNATURES = (
    ("丈夫", "人物", "人物"),
    ("上映时间", "影视作品", "Date"),
    ("专业代码", "学科专业", "Text"),
    ("主持人", "电视综艺", "人物"),
    ("主演", "影视作品", "人物"),
    ("主角", "网络小说", "人物"),
    ("人口数量", "行政区", "Number"),
    ("作曲", "歌曲", "人物"),
    ("作者", "图书作品", "人物"),
    ("作词", "歌曲", "人物"),
    ("修业年限", "学科专业", "Number"),
    ("出品公司", "影视作品", "企业"),
    ("出版社", "书籍", "出版社"),
    ("出生地", "人物", "地点"),
    ("出生日期", "人物", "Date"),
    ("创始人", "企业", "人物"),
    ("制片人", "影视作品", "人物"),
    ("占地面积", "机构", "Number"),
    ("号", "历史人物", "Text"),
    ("嘉宾", "电视综艺", "人物"),
    ("国籍", "人物", "国家"),
    ("妻子", "人物", "人物"),
    ("字", "历史人物", "Text"),
    ("官方语言", "国家", "语言"),
    ("导演", "影视作品", "人物"),
    ("总部地点", "企业", "地点"),
    ("成立日期", "机构", "Date"),
    ("成立日期", "企业", "Date"),
    ("所在城市", "景点", "城市"),
    ("所属专辑", "歌曲", "音乐专辑"),
    ("改编自", "影视作品", "作品"),
    ("朝代", "历史人物", "Text"),
    ("歌手", "歌曲", "人物"),
    ("母亲", "人物", "人物"),
    ("毕业院校", "人物", "学校"),
    ("民族", "人物", "Text"),
    ("气候", "行政区", "气候"),
    ("注册资本", "企业", "Number"),
    ("海拔", "地点", "Number"),
    ("父亲", "人物", "人物"),
    ("目", "生物", "目"),
    ("祖籍", "人物", "地点"),
    ("简称", "机构", "Text"),
    ("编剧", "影视作品", "人物"),
    ("董事长", "企业", "人物"),
    ("身高", "人物", "Number"),
    ("连载网站", "网络小说", "网站"),
    ("邮政编码", "行政区", "Text"),
    ("面积", "行政区", "Number"),
    ("首都", "国家", "城市"),
)

DUIE_SCHEMA = Schema.from_signatures(_SIGNATURES)
"""The 49 predicates in the order of the output units of both stages (their names sorted by code point)."""

PADDING = "[Padding]"
CATEGORY = "[category]"
WORD_PIECE = "[##WordPiece]"
CLS = "[CLS]"
SEP = "[SEP]"
OUTSIDE = "O"
SUBJECT = "SUB"
OBJECT = "OBJ"

TOKEN_LABELS = LEGACY_LABELS
"""The token labels of stage 2; a label's place is its output unit, and padding is 0."""

PREDICATE_ID_OFFSET = 1
"""Stage 2 writes predicate i into its input as id i + 1; in the released vocabularies that is [unused(i+1)]."""

THRESHOLD = 0.5
"""Stage 1 predicts a predicate when its probability is above this."""

FALLBACK_PREDICATES = 10
"""How many predicates stage 2 is asked about for a sentence in which stage 1 found none."""
