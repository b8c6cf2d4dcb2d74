"""Frames of the sample corpus: what is said of one subject in several clauses, in any number and order.

In a clause ``{s}`` is the subject of the frame. The notation is that of `sample_grammar`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kerasbert.corpus.sample_grammar import Template, parse_templates


@dataclass(frozen=True, slots=True)
class Frame:
    """A subject, ways to open a sentence about it, and clauses with or without a triple.

    Attributes:
      kind: the kind of name that the subject takes.
      openers: beginnings; ``{s}`` is the subject.
      separator: what stands between the opener and each clause.
      clauses: what can be said of the subject.
    """

    kind: str
    openers: tuple[str, ...]
    separator: str
    clauses: tuple[Template, ...]


def _frame(kind: str, openers: str, clauses: str, separator: str = "，") -> Frame:
    return Frame(kind, tuple(openers.split("\n")), separator, parse_templates(clauses))


FRAMES: Final[tuple[Frame, ...]] = (
    _frame(
        "person",
        "{s}\n{s}\n[知名|青年|著名|我国]{role}{s}\n{s}，[男|女]",
        """
{date}出生 => s 出生日期 date
生于{date} => s 出生日期 date
{date}出生于{place} => s 出生日期 date; s 出生地 place
[出生于|出生在]{place} => s 出生地 place
祖籍{place} => s 祖籍 place
国籍为{nation} => s 国籍 nation
{nation}籍{role} => s 国籍 nation
{ethnic} => s 民族 ethnic
{ethnic} => s 民族 ethnic
毕业于{school}[{major}专业|] => s 毕业院校 school
从{school}毕业 => s 毕业院校 school
身高[为|]{height} => s 身高 height
[其|]父亲是{person} => s 父亲 person
[其|]母亲是{person} => s 母亲 person
[其|]妻子是{person} => s 妻子 person
[其|]丈夫是{person} => s 丈夫 person
从小热爱音乐
代表作有《{title}》
""",
    ),
    _frame(
        "person",
        "中文名：{s}\n姓名：{s}",
        """
国籍：{nation} => s 国籍 nation
民族：{clan} => s 民族 clan
民族：{ethnic} => s 民族 ethnic
出生地：{place} => s 出生地 place
出生日期：{date} => s 出生日期 date
毕业院校：{school} => s 毕业院校 school
身高：{height} => s 身高 height
祖籍：{place} => s 祖籍 place
职业：{role}
外文名：{latin} {family}
""",
        separator=" ",
    ),
    _frame(
        "ancient",
        "{s}\n{office}{s}",
        """
字{courtesy} => s 字 courtesy
[自号|号]{alias} => s 号 alias
{dynasty}[著名|]{office} => s 朝代 dynasty
{dynasty}人 => s 朝代 dynasty
{place}人 => s 出生地 place
祖籍{place} => s 祖籍 place
工诗善画
史书有记载
""",
    ),
    _frame(
        "title",
        "《{s}》是一部{genre}[电影|电视剧]\n[电影|电视剧|影片]《{s}》",
        """
导演[是|为]{person} => s 导演 person
由{person}导演 => s 导演 person
主演[是|有]{person}[、{person2}|] => s 主演 person; s 主演 person2
由{person}[、{person2}[、{person3}|]|]主演 => s 主演 person; s 主演 person2; s 主演 person3
编剧[是|为]{person} => s 编剧 person
由{person}编剧 => s 编剧 person
制片人[是|为]{person} => s 制片人 person
由{person}任制片人 => s 制片人 person
由{studio}出品 => s 出品公司 studio
出品公司[为|是]{studio} => s 出品公司 studio
{date}[上映|公映] => s 上映时间 date
改编自小说《{novel}》 => s 改编自 novel
全长{n}{d}集
备受好评
""",
    ),
    _frame(
        "title",
        "《{s}》是一首歌曲\n[歌曲|单曲]《{s}》",
        """
歌手[是|为]{person} => s 歌手 person
由{person}演唱 => s 歌手 person
作词[是|为]{person} => s 作词 person
由{person}作词 => s 作词 person
作曲[是|为]{person} => s 作曲 person
由{person}作曲 => s 作曲 person
收录于[{year}年发行的|]专辑《{title}》 => s 所属专辑 title
所属专辑《{title}》 => s 所属专辑 title
全长{n}分{n}秒
备受好评
""",
    ),
    _frame(
        "show",
        "综艺节目《{s}》\n《{s}》是一档综艺节目",
        """
主持人[是|为]{person} => s 主持人 person
由{person}[、{person2}|]主持 => s 主持人 person; s 主持人 person2
嘉宾[是|有]{person}[、{person2}|] => s 嘉宾 person; s 嘉宾 person2
已播出{n}季
备受好评
""",
    ),
    _frame(
        "novel",
        "[小说|网络小说]《{s}》\n《{s}》是一部[网络小说|小说]",
        """
作者[是|为]{person} => s 作者 person
由{person}创作 => s 作者 person
[首发于|连载于]{website} => s 连载网站 website
主角[是|为]{person}[、{person2}|] => s 主角 person; s 主角 person2
全书共{n}{d}章
备受好评
""",
    ),
    _frame(
        "book",
        "《{s}》\n图书《{s}》",
        """
作者[是|为]{person}[、{person2}|] => s 作者 person; s 作者 person2
由{publisher}出版 => s 出版社 publisher
出版社[是|为]{publisher} => s 出版社 publisher
全书共{n}{d}章
定价{n}{d}元
""",
    ),
    _frame(
        "company",
        "{s}\n{s}\n{s}是一家{industry}企业",
        """
成立于{date} => s 成立日期 date
于{date}成立 => s 成立日期 date
总部[位于|设在]{place} => s 总部地点 place
注册资本[为|]{funds} => s 注册资本 funds
创始人[是|为]{person}[、{person2}|] => s 创始人 person; s 创始人 person2
由{person}[、{person2}|]创办 => s 创始人 person; s 创始人 person2
董事长[是|为]{person} => s 董事长 person
由{person}任董事长 => s 董事长 person
员工{n}{d}人
已在{city}设立分公司
""",
    ),
    _frame(
        "institution",
        "{s}",
        """
成立于{date} => s 成立日期 date
占地{acreage} => s 占地面积 acreage
占地面积为{acreage} => s 占地面积 acreage
简称“<abbr:{pen}院>” => s 简称 abbr
环境优美
设备先进
""",
    ),
    _frame(
        "region",
        "{s}\n{s}位于{stem}[东部|北部]\n{s}历史悠久",
        """
面积[为|]{area} => s 面积 area
人口[为|]{population} => s 人口数量 population
[邮编|邮政编码]为{postcode} => s 邮政编码 postcode
属{climate} => s 气候 climate
气候类型为{climate} => s 气候 climate
盛产茶叶
下辖{n}个村
""",
    ),
    _frame(
        "country",
        "{s}\n{s}是一个岛屿国家",
        """
首都[是|为]{capital} => s 首都 capital
官方语言[是|为]{language}[和{language2}|] => s 官方语言 language; s 官方语言 language2
以农业为主
历史悠久
""",
    ),
    _frame(
        "scenic",
        "{s}",
        """
[位于|坐落于]{city} => s 所在城市 city
位于{city}[东部|北部] => s 所在城市 city
环境优美
门票{n}{d}元
""",
    ),
    _frame(
        "summit",
        "{s}\n{s}位于{stem}[东部|北部]",
        """
海拔[为|]{altitude} => s 海拔 altitude
终年积雪
环境优美
""",
    ),
    _frame(
        "species",
        "{s}",
        """
[属于|是]{order}[动物|植物] => s 目 order
{order} => s 目 order
体长{n}{d}厘米
数量稀少
""",
    ),
    _frame(
        "major",
        "{s}专业",
        """
修业年限为{duration} => s 修业年限 duration
学制{duration} => s 修业年限 duration
专业代码[为|是]{code} => s 专业代码 code
今年招生{n}{d}人
""",
    ),
)
"""The frames, several of one kind where their clauses do not mix."""
