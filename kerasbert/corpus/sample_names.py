"""Invented names of the sample corpus: the words they are made of, and the rules that join them.

A rule is written in the notation of `sample_grammar`: ``{kind}`` draws another name, ``[a|b]`` is a choice. Of a
tuple of rules each is equally likely, so a repeated rule is a more likely one.
"""

from __future__ import annotations

from typing import Final

_DIGITS: Final = tuple("0123456789")


def _product(first: str, second: str) -> tuple[str, ...]:
    """Every character of the one before every character of the other, doubled characters left out."""
    return tuple(a + b for a in first for b in second if a != b)


def _words(first: str, second: str) -> tuple[str, ...]:
    return tuple(a + b for a in first.split() for b in second.split())


_TRANSLITERATED: Final = tuple(
    a + b + c for a in "阿卡塔诺维莫伊科萨艾布泽希贝多" for b in "尔洛里拉尼米" for c in ("斯", "克", "罗", "森", "")
)

WORDS: Final[dict[str, tuple[str, ...]]] = {
    # People.
    "surname": (*"陆秦沈顾苏叶程傅温江余韩贺严孟方林周许陶柳童莫霍蔺裴祁俞卢邵康葛池", "欧阳", "司徒", "上官"),
    "given": (
        *_product("砚霁屿钰曦珩斐昭翊蔚筠黎朔桐沅望若知淮泊怀以", "舟霖遥笙衡棠晏澄洵槿峤玥岑翎煦枫禾宁"),
        *"舟霖遥笙衡棠晏澄洵槿峤玥岑翎煦枫",
    ),
    "foreign": _TRANSLITERATED,
    "translit": _TRANSLITERATED,
    "latin": _words("Ko Ra Vel Mor Tas Zin Lu Bren", "veth lin dor mar resh tan kov bis ria nax plo gus hel tro van"),
    "family": _words("Or Fa Dre Nil Qui Sor Wyn Jal", "veth lin dor mar resh tan kov bis ria nax plo gus hel tro van"),
    "trade": _words("Tek Xan Ulo Pry Zeph Gol Ib Hax", "veth lin dor mar resh tan kov bis ria nax plo gus hel tro van"),
    "role": ("演员", "作家", "画家", "运动员", "歌唱家", "舞蹈家", "教授", "记者", "摄影师", "导演", "主持人", "编剧"),
    "office": ("诗人", "画家", "大臣", "学者", "书法家", "将领", "医学家"),
    "ethnic": ("汉族", "汉族", "汉族", "满族", "回族", "壮族", "苗族", "彝族", "藏族", "傣族", "侗族"),
    "clan": tuple("汉汉汉满回壮苗彝藏傣侗"),
    "dynasty": (
        "唐朝",
        "宋朝",
        "元朝",
        "明朝",
        "清朝",
        "唐代",
        "宋代",
        "元代",
        "明代",
        "清代",
        "北宋",
        "南宋",
        "东晋",
        "西晋",
        "隋朝",
    ),
    "era": tuple("唐宋元明清晋隋"),
    "courtesy": (*_product("子伯仲叔季公君", "舟霖遥笙衡禾棠晏澄洵峤岑翎煦砚昭"), *"砚霁珩斐昭翊蔚黎朔衡晏澄峤岑煦"),
    "pen": _product("听枕卧醉半抱寒晚拾问", "雪泉竹溪云鹤石梅松月"),
    # Places and organisations.
    "stem": _product("澜栖黛泠苇砾溟珞枳洄蓼荻沚岫椿楸绮鹮翡皋", "阳州江城浦陵川港原泽宁安塘湾溪"),
    "brand": _product("鲸萤槐鹭麦橙赤羽狐貂犀蜓枫钛晷锦汇", "潮禾桥帆谷核砂轮鸣弧湃砻梭舱序禧岛"),
    "industry": ("科技", "生物", "能源", "物流", "食品", "精密", "软件", "医药", "电子", "化工"),
    "zone": ("亚热带", "温带", "暖温带", "寒温带", "热带", "中亚热带"),
    # Works.
    "noun": (
        "灯塔",
        "渡口",
        "邮差",
        "钟楼",
        "纸船",
        "麦垛",
        "雨伞",
        "车站",
        "磨坊",
        "铁匠",
        "信箱",
        "温室",
        "码头",
        "风筝",
        "木桥",
        "裁缝",
        "盐湖",
        "旧巷",
        "琴房",
        "鲸群",
    ),
    "epithet": (
        "沉睡的",
        "迟到的",
        "倒悬的",
        "生锈的",
        "透明的",
        "无名的",
        "漂流的",
        "折叠的",
        "失重的",
        "第七座",
        "半截",
    ),
    "genre": ("悬疑", "爱情", "喜剧", "古装", "科幻", "励志", "家庭", "动作", "历史"),
    "single": tuple("渡钟船伞磨箱筝巷琴塔垛匠盐雨旧木纸麦裁缝温室车邮"),
    "realm": ("九窍", "太溟", "玄砾", "逆潮", "焚舟", "星轨", "万象", "孤城", "北荒", "长夜", "赤霄", "沉渊"),
    "saga": ("剑录", "丹途", "战纪", "行者", "棋局", "狂歌", "仙尊", "神医", "系统", "归来"),
    "theme": (
        "声纹",
        "海冰",
        "云图",
        "古籍",
        "沙漠",
        "茶艺",
        "深空",
        "潮汐",
        "陶瓷",
        "湿地",
        "桥隧",
        "盐业",
        "蜂群",
        "木构",
    ),
    "branch": ("工程", "设计", "管理", "修复", "测绘", "传播", "技术", "经济", "教育", "分析"),
    # Living things.
    "trait": ("斑", "银", "紫", "长尾", "短喙", "赤腹", "宽叶", "细鳞", "巨"),
    "creature": ("蛱蝶", "鲷", "蛙", "雀", "兰", "蕨", "蟹", "虾虎", "蜥", "蜂"),
    "order": tuple(
        a + b for a in "鹭鲷蕨蟹貂犀狐蜓椿楸荻蓼蜥鹮" for b in ("形目", "齿目", "足目", "尾目", "翼目", "喙目")
    ),
    # Numbers.
    "d": _DIGITS,
    "n": _DIGITS[1:],
    "m": tuple(str(month) for month in range(1, 13)),
    "day": tuple(str(day) for day in range(1, 29)),
    "mm": tuple(f"{month:02d}" for month in range(1, 13)),
    "dd": tuple(f"{day:02d}" for day in range(1, 29)),
    "year": tuple(str(year) for year in range(1960, 2024)),
}

RULES: Final[dict[str, tuple[str, ...]]] = {
    "person": (*("{surname}{given}",) * 36, *("{foreign}·{foreign}",) * 3, "{latin} {family}"),
    "ancient": ("{surname}{given}",),
    "place": ("{stem}", "{stem}市", "{stem}县", "{stem}省{stem}市", "{stem}省{stem}县", "{translit}[城|港]"),
    "city": ("{stem}市", "{stem}市", "{stem}"),
    "capital": ("{translit}[城|堡|港]", "{translit}[城|堡|港]", "{stem}"),
    "region": ("{stem}[县|县|镇|区|乡|自治县]",),
    "country": ("{translit}[亚|兰|王国|共和国|联邦]",),
    "nation": ("中国", "{country}"),
    "language": ("{translit}语",),
    "climate": ("{zone}[季风|大陆性|海洋性|湿润季风|半干旱]气候", "高原山地气候", "地中海气候", "热带雨林气候"),
    "company": (
        *("{brand}{industry}[有限公司|股份有限公司|集团|公司]",) * 8,
        "{trade}{industry}公司",
        "{trade} {trade} 集团",
        "{brand}{n}{d}{industry}公司",
    ),
    "studio": (
        *("{brand}[影业|影视|影视文化有限公司|传媒|文化传播公司]",) * 5,
        "{trade}影业",
        "{trade} Pictures",
    ),
    "school": (
        *("{stem}[大学|师范大学|理工大学|医科大学|艺术学院|戏剧学院|音乐学院]",) * 5,
        "{stem}第[一|二|三|{n}|{n}{d}]中学",
        "{translit}大学",
        "{trade}大学",
    ),
    "institution": (
        "{stem}[大学|师范大学|理工大学|医科大学|职业学院]",
        "{stem}[博物馆|图书馆|中心医院|天文台|儿童医院|植物园]",
        "{brand}[基金会|研究院|美术馆]",
        "{trade}研究院",
    ),
    "publisher": ("{stem}[出版社|文艺出版社|人民出版社|大学出版社|教育出版社]", "{brand}出版社", "{trade}出版社"),
    "website": (
        "{brand}[中文网|文学网|小说网|阅读网|书城]",
        "{brand}[中文网|文学网|小说网|阅读网|书城]",
        "{trade}文学网",
    ),
    "scenic": ("{stem}[古镇|森林公园|石窟|湿地公园|瀑布|石林|古村]", "{brand}[山庄|乐园|寺]"),
    "summit": ("{stem}[山|峰|垭口|高原|村]", "{translit}[山|峰]"),
    "title": (
        *("{epithet}{noun}",) * 5,
        *("{noun}[往事|谣|手记|之夜|备忘录|奏鸣曲]",) * 3,
        *("{noun}与{noun}",) * 2,
        "{single}",
        "{trade} {trade}",
        "{trade}",
        "{n}号{noun}",
        "{n}{d}号{noun}",
        "{noun} {year}",
        "再见，{noun}",
    ),
    "novel": (*("{realm}{saga}",) * 5, "{realm}之{noun}", "{single}", "{trade}{saga}", "重生{year}之{noun}"),
    "book": ("{title}", "{title}", "{theme}{branch}[概论|导论|入门]", "{noun}[史话|漫谈|图鉴]"),
    "show": (
        "{noun}[大会|会客厅|挑战赛|歌会]",
        "今夜{noun}",
        "你好，{noun}",
        "{trade} Show",
        "{epithet}舞台",
        "{n}点{noun}",
    ),
    "major": ("{theme}{branch}[学|]", "{theme}[科学|学]与{branch}"),
    "species": ("{stem}{trait}{creature}",),
    "alias": (*("{pen}[居士|山人|先生|散人|老人|翁]",) * 4, "{pen}"),
    "num": ("{n}{d}", "{n}{d}{d}", "{n}{d}{d}{d}"),
    "date": (*("{year}年{m}月{day}日",) * 5, *("{year}年",) * 2, "{year}年{m}月", "{year}-{mm}-{dd}"),
    "past": ("{n}{d}{d}年", "1{d}{d}{d}年"),
    "area": ("{num}平方公里", "{num}平方公里", "{num}.{d}平方公里", "{num}km2"),
    "acreage": ("{num}亩", "{num}亩", "{num}.{d}公顷", "{num}00平方米"),
    "population": ("{n}{d}万人", "{n}{d}.{d}万人", "{n}{d}{d}{d}{d}人"),
    "height": ("1[6|7|8|9]{d}cm", "1[6|7|8|9]{d} cm", "1[6|7|8|9]{d}厘米", "1米[6|7|8|9]{d}"),
    "altitude": ("{num}米", "{num}米", "{num}.{d}米", "{num}m"),
    "funds": ("{num}万元", "{num}万元人民币", "{n}.{d}亿元", "{n}{d}00万美元", "{n}亿元"),
    "duration": ("[二|三|四|五|六]年", "[2|3|4|5|6]年", "[3-4|4-6|2-3]年"),
    "code": ("0{d}{d}{d}0{n}[|T|K|TK]", "{n}{d}0{d}{d}{n}"),
    "postcode": ("{n}{d}{d}{d}00", "{n}{d}{d}{d}{d}{d}"),
}

HELD_OUT: Final[frozenset[str]] = frozenset(
    [
        "person",
        "ancient",
        "translit",
        "trade",
        "courtesy",
        "pen",
        "stem",
        "brand",
        "order",
        "title",
        "novel",
        "book",
        "show",
        "major",
    ]
)
"""Kinds of which the three splits draw different strings, made of the same characters; every name of a person, work,
place or organisation is or holds one. What stays shared is closed: dynasties, ethnic groups, climates, numbers, 中国.
"""
