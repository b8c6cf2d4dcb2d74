"""Sentence templates of the sample corpus, in the notation of `sample_grammar`."""

from __future__ import annotations

from typing import Final

from kerasbert.corpus.sample_grammar import Template, parse_templates

SENTENCES: Final[tuple[Template, ...]] = parse_templates("""
{person}导演的[电影|电视剧]《{title}》备受好评 => title 导演 person
[电影|电视剧]《{title}》的导演是{person} => title 导演 person
《{title}》和《{title2}》都由{person}导演 => title 导演 person; title2 导演 person
《{title}》是{person}导演，{person2}、{person3}主演的{genre}[电影|电视剧]
 => title 导演 person; title 主演 person2; title 主演 person3
由{person}[、{person2}|][、{person3}|]主演的{genre}[电影|电视剧]《{title}》今日开机
 => title 主演 person; title 主演 person2; title 主演 person3
{date}，{person}主演的电影《{title}》上映 => title 主演 person; title 上映时间 date
[影片|电影]《{title}》于{date}[上映|公映] => title 上映时间 date
《{title}》上映时间：{date} 导演：{person} => title 上映时间 date; title 导演 person
《{title}》由{person}自编自导 => title 导演 person; title 编剧 person
电视剧《{title}》的编剧是{person} => title 编剧 person
由{person}编剧的[电影|电视剧]《{title}》今日开机 => title 编剧 person
电视剧《{title}》的制片人是{person} => title 制片人 person
[电影|电视剧]《{title}》由{person}任制片人，{date}上映 => title 制片人 person; title 上映时间 date
《{title}》编剧：{person} 制片人：{person2} => title 编剧 person; title 制片人 person2
{studio}出品的{genre}[电影|电视剧]《{title}》今日开机 => title 出品公司 studio
《{title}》由{studio}、{studio2}联合出品 => title 出品公司 studio; title 出品公司 studio2
[电影|电视剧]《{title}》改编自{person}创作的小说《{novel}》 => title 改编自 novel; novel 作者 person
《{title}》改编自[网络小说|小说]《{novel}》 => title 改编自 novel
小说《{novel}》被改编成[电影|电视剧]《{title}》 => title 改编自 novel
《{title}》由{studio}出品，{person}导演，{person2}编剧，{person3}主演，{date}上映
 => title 出品公司 studio; title 导演 person; title 编剧 person2; title 主演 person3; title 上映时间 date
{person}演唱的[歌曲|单曲]《{title}》收录于专辑《{title2}》 => title 歌手 person; title 所属专辑 title2
《{title}》是一首{person}演唱的歌曲 => title 歌手 person
歌曲《{title}》由{person}作词，{person2}作曲，{person3}演唱 => title 作词 person; title 作曲 person2; title 歌手 person3
歌曲《{title}》由{person}作词、作曲 => title 作词 person; title 作曲 person
[歌曲|单曲]《{title}》的作词是{person} => title 作词 person
[歌曲|单曲]《{title}》的作曲是{person} => title 作曲 person
由{person}作词的[歌曲|单曲]《{title}》备受好评 => title 作词 person
由{person}作曲的[歌曲|单曲]《{title}》备受好评 => title 作曲 person
专辑《{title3}》收录了《{title}》《{title2}》两首歌曲 => title 所属专辑 title3; title2 所属专辑 title3
《{title}》 歌手：{person} 作词：{person2} 作曲：{person3} 所属专辑：《{title2}》
 => title 歌手 person; title 作词 person2; title 作曲 person3; title 所属专辑 title2
由{person}[、{person2}|]主持的综艺节目《{show}》今日开播 => show 主持人 person; show 主持人 person2
《{show}》的主持人是{person} => show 主持人 person
{person}[、{person2}[、{person3}|]|]做客综艺节目《{show}》 => show 嘉宾 person; show 嘉宾 person2; show 嘉宾 person3
《{show}》的嘉宾[是|有]{person}[、{person2}|] => show 嘉宾 person; show 嘉宾 person2
《{show}》由{person}主持，嘉宾有{person2}、{person3} => show 主持人 person; show 嘉宾 person2; show 嘉宾 person3
小说《{novel}》的作者是{person}，连载于{website} => novel 作者 person; novel 连载网站 website
网络小说《{novel}》的主角是{person}[、{person2}|] => novel 主角 person; novel 主角 person2
《{novel}》是{person}创作的小说，主角是{person2} => novel 作者 person; novel 主角 person2
以{person}为主角的小说《{novel}》备受好评 => novel 主角 person
{website}正在连载的小说《{novel}》备受好评 => novel 连载网站 website
《{book}》的作者是{person} => book 作者 person
由{person}创作的《{book}》备受好评 => book 作者 person
{person}创作的《{book}》由{publisher}出版 => book 作者 person; book 出版社 publisher
{publisher}出版了《{book}》[和《{book2}》|] => book 出版社 publisher; book2 出版社 publisher
《{book}》是{year}年{publisher}出版的图书，作者是{person}、{person2}
 => book 出版社 publisher; book 作者 person; book 作者 person2
《<book:{~person}[自述|诗选|文集]>》的作者是{person} => book 作者 person
《<book:{person}[自述|诗选|文集]>》由{publisher}出版 => book 作者 person; book 出版社 publisher
{company}的创始人是{person}[、{person2}|] => company 创始人 person; company 创始人 person2
由{person}创办的{company}总部位于{place} => company 创始人 person; company 总部地点 place
{person}是{company}的创始人兼董事长 => company 创始人 person; company 董事长 person
<company:{~person}集团>由{person}创办，总部位于{place} => company 创始人 person; company 总部地点 place
{company}的董事长是{person} => company 董事长 person
{person}任{company}董事长 => company 董事长 person
总部位于{place}的{company}完成融资 => company 总部地点 place
{company}成立于{date}，总部位于{place}，注册资本{funds}
 => company 成立日期 date; company 总部地点 place; company 注册资本 funds
注册资本为{funds}的{company}于{date}成立 => company 注册资本 funds; company 成立日期 date
{company}的注册资本为{funds} => company 注册资本 funds
{date}，{company}成立 => company 成立日期 date
{institution}成立于{date}，占地{acreage} => institution 成立日期 date; institution 占地面积 acreage
占地{acreage}的{institution}对外开放 => institution 占地面积 acreage
<institution:{stem}科学技术大学>，简称<abbr:{~stem}科大>，成立于{date}
 => institution 简称 abbr; institution 成立日期 date
<institution:{stem}[文物|农业]研究院>（简称“<abbr:{~stem}研院>”）占地{acreage}
 => institution 简称 abbr; institution 占地面积 acreage
“<abbr:{stem}师大>”是<institution:{~stem}师范大学>的简称 => institution 简称 abbr
{country}的首都是{capital}，官方语言是{language} => country 首都 capital; country 官方语言 language
{capital}是{country}的首都 => country 首都 capital
<country:{translit}[亚|兰]>的官方语言是<language:{~translit}语> => country 官方语言 language
{country}以{language}[和{language2}|]为官方语言 => country 官方语言 language; country 官方语言 language2
{region}面积{area}，人口{population} => region 面积 area; region 人口数量 population
面积{area}的{region}盛产茶叶 => region 面积 area
{region}人口为{population}，邮政编码为{postcode} => region 人口数量 population; region 邮政编码 postcode
{region}的邮编是{postcode} => region 邮政编码 postcode
{region}属{climate}，四季分明 => region 气候 climate
受{climate}影响，{region}盛产茶叶 => region 气候 climate
{city}的{scenic}备受好评 => scenic 所在城市 city
{scenic}、{scenic2}都位于{city} => scenic 所在城市 city; scenic2 所在城市 city
海拔{altitude}的{summit}终年积雪 => summit 海拔 altitude
{summit}的海拔[为|是]{altitude} => summit 海拔 altitude
{order}的{species}数量稀少 => species 目 order
{species}和{species2}都属于{order} => species 目 order; species2 目 order
{major}专业的专业代码为{code}，修业年限为{duration} => major 专业代码 code; major 修业年限 duration
专业代码为{code}的{major}专业开始招生 => major 专业代码 code
学制{duration}的{major}专业开始招生 => major 修业年限 duration
{person}出生于{place}，毕业于{school} => person 出生地 place; person 毕业院校 school
{date}，{person}出生在{place} => person 出生日期 date; person 出生地 place
{person}，{nation}籍{role}，{date}出生 => person 国籍 nation; person 出生日期 date
{person}是{nation}籍{role}，{ethnic} => person 国籍 nation; person 民族 ethnic
{ethnic}{role}{person}出生于{place} => person 民族 ethnic; person 出生地 place
祖籍{place}的{role}{person}[出生于{place2}|] => person 祖籍 place; person 出生地 place2
毕业于{school}的{person}身高{height} => person 毕业院校 school; person 身高 height
{person}的身高[是|为]{height} => person 身高 height
{person}的妻子是{person2} => person 妻子 person2
{person}[、{role}，|]娶了{person2} => person 妻子 person2
{person}的丈夫是{person2} => person 丈夫 person2
{person}嫁给了{person2} => person 丈夫 person2
{person}和妻子{person2}育有一子{person3} => person 妻子 person2; person3 父亲 person; person3 母亲 person2
{person}的父亲是{person2}，母亲是{person3} => person 父亲 person2; person 母亲 person3
{person}的妻子是{person2}，{person3}的妻子是{person4} => person 妻子 person2; person3 妻子 person4
{person}的母亲是{role}{person2} => person 母亲 person2
{person}的父亲是{role}{person2} => person 父亲 person2
{ancient}（{past}－？），字{courtesy}，号{alias}，{dynasty}{office}
 => ancient 出生日期 past; ancient 字 courtesy; ancient 号 alias; ancient 朝代 dynasty
（{era}）{ancient}创作的《{book}》 => ancient 朝代 era; book 作者 ancient
{dynasty}{office}{ancient}，字{courtesy}，{place}人
 => ancient 朝代 dynasty; ancient 字 courtesy; ancient 出生地 place
{alias}是{dynasty}{office}{ancient}的号 => ancient 号 alias; ancient 朝代 dynasty
""")

NEGATIVES: Final[tuple[Template, ...]] = parse_templates("""
《{title}》[今日|{year}年]在{city}开机，[导演|主演|编剧]没有透露剧情
{person}做客{stem}导演协会
[导演|主持人|编剧]协会在{city}成立
{company}的[董事长|创始人|总部|注册资本]没有公布
《{book}》的[作者|出版社]没有公布
{publisher}没有透露《{book}》的作者
{person}和{person2}在{city}出席活动
网友热议小说《{novel}》的主角
{country}没有公布[新首都|官方语言]
{school}的[邮政编码|占地面积|简称]没有公布
{region}的[面积和人口|气候|邮编]没有公布
{scenic}今日对外开放，门票{n}{d}元
{person}在{summit}拍摄电影，海拔很高
{major}专业今年招生{n}{d}人，[修业年限|专业代码]没有公布
{species}数量稀少，属于哪一目没有公布
{person}没有透露[身高|祖籍|国籍|民族|出生日期]
{person}没有透露[父亲|母亲|妻子|丈夫]的姓名
{person}和[父亲|母亲|妻子|丈夫]在{city}出席活动
史书没有记载{ancient}的[字和号|出生地|朝代]
{ancient}号称{n}{d}万大军
{website}今日开放，作者没有透露姓名
《{show}》的[主持人|嘉宾]没有公布
歌曲《{title}》的[作词|作曲|歌手|专辑]没有公布
{studio}没有透露新片的上映时间
{person}在《{book}》中记载了{city}的四季
{role}{person}在{city}拍摄广告
{latin} {family}（{date}－{date2}）
地址：{place}{n}{d}号 邮编没有公布
""")

LEADS: Final = ("据悉，", "据报道，", "资料显示，", "据了解，", "众所周知，", "此外，")
"""Openings that say nothing."""

TAILS: Final = (
    "引发网友热议",
    "受到业内好评",
    "目前已有多家媒体报道",
    "这一消息令人意外",
    "更多内容请关注后续报道",
    "以上信息来自公开资料，仅供参考",
)
"""Closing remarks that say nothing."""
