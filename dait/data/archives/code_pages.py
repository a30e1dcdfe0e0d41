"""Names in archives that do not say how their letters are encoded.

A zip marks names in UTF-8 by a flag; without it they are in whatever code page the packing program
used, and a tar has no mark at all. Detectors of encodings need a paragraph (``charset_normalizer``
reads two Chinese words in GBK as Big5 or Korean), so what is compared here is how common the
letters are that each code page makes of *all* names of an archive together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

# The letters that most texts are made of; a code page that makes others of the bytes is improbable.
_HAN = (
    "的一是不了在人有我他这中大来上个国和地到们时要就出会可也你对生能而子那得于着下自之年发后作里用"
    "大小红黄蓝绿白黑金银花草木树叶果菜瓜豆米麦鱼鸟虫鸡鸭鹅猫狗马牛羊猪兔鼠虎龙蛇猴熊鹿狼车船飞机手"
    "头脸眼水火山石土天日月星云雨风雪海河江湖春夏秋冬东南西北高长苹香蕉梨桃李橙柠檬葡萄草莓西蓝萝卜"
    "茄土番薯洋葱蒜姜辣椒图片照类别新文件夹训练测试验证数据集正常异好坏品种男女老狐狮象鹰鸽雀蝶蜂蚁"
)
_HAN_TRADITIONAL = (
    "的一是不了在人有我他這中大來上個國和地到們時要就出會可也你對生能而子那得於著下自之年發後作裡用"
    "小紅黃藍綠白黑金銀花草木樹葉果菜瓜豆米麥魚鳥蟲雞鴨鵝貓狗馬牛羊豬兔鼠虎龍蛇猴熊鹿狼車船飛機手頭"
    "臉眼水火山石土天日月星雲雨風雪海河江湖春夏秋冬東南西北高長蘋香蕉梨桃李橙檸檬葡萄莓蘿蔔茄番薯洋"
    "蔥蒜薑辣椒圖片照類別新文件夾訓練測試驗證數據集正常異好壞品種男女老獅象鷹鴿蝴蝶蜂蟻"
)
_HANGUL = (
    "이다에는의가을고하지사한로기를어나아자시도은리대인수서해정스그라일부만전과장구제여게니보상주들안"
    "동트성원선러우오모무경마비소신연조드있세유미진요내생면공용적것으되당물위와회방거계분관화국네파레"
    "바타카차추호포피하키크클글름구루르토코노초두개고양말닭돼곰새꽃나무풀빨강노랑파란검정흰박배감귤딸"
    "포도복숭참외수훈련테검증폴더진류험터데렌즈버불량품합격"
)
_KANJI = (
    "日一国人年大十二本中長出三時行見月分後前生五間上東四今金九入学高円子外八六下来気小七山話女北午"
    "百書先名川千水半男西電校語土木聞食車何南万毎白天母火右読友左休父雨犬猫馬牛羊豚鳥魚虫花草葉根実"
    "赤青黄緑黒色林森海空雪石玉王竹米麦豆肉茶写真画像新訓練検証試験種類正常異良不梅桜桃松栗柿梨菊"
)
_KANA = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30F5), 0x30FC)))  # ぁ to ー
_LATIN = "éüäöèáóíñçàãßêåæøúôâîëïõìòùûÿ"
_EASTERN = "łéąáöěřščžýíęśüóćňůúőäńżťďźűôâăîșțşţđ"
_CYRILLIC = "оаеинтсрвлкмдпуяызьбгчйхжшюцщэфъё"
_GREEK = "αοιετσνηυρπκμλςωδγχθφβξζψάέήίόύώ"


_SECOND_BYTES = "\\[]^`{|}~"  # rare in names, frequent as the second byte of Japanese letters


@dataclass(frozen=True)
class _CodePage:
    """How probable the letters of a code page are.

    common: the letters of which ``share`` of its texts are made; of alphabets, the commonest first.
    lead, trail: the first bytes of its other usual letters, ``rest`` in number, and the least
    second byte; of alphabets, those are the capitals. script: whether an alphabet's words are made
    of letters outside ASCII alone. weight: how often it is met, beside the others.
    """

    codec: str
    title: str
    common: str
    share: float
    lead: tuple[int, int] | None = None
    trail: int = 0
    rest: int = 0
    script: bool = False
    weight: float = 1.0

    @cached_property
    def chances(self) -> dict[str, float]:
        """Of each common letter, and of the capitals of an alphabet."""
        if self.lead is not None:
            return dict.fromkeys(self.common, self.share / len(set(self.common)))
        ranked = {letter: 1 / (rank + 3) for rank, letter in enumerate(self.common)}
        scale = self.share / sum(ranked.values())
        capitals = {
            letter.upper(): (1 - self.share) * scale * chance
            for letter, chance in ranked.items()
            if len(letter.upper()) == 1
        }
        return capitals | {letter: scale * chance for letter, chance in ranked.items()}

    def chance(self, text: str, at: int) -> float:
        """Of the letter in this place, as the code page reads it."""
        letter = text[at]
        chance = self.chances.get(letter, 1e-6)
        if self.lead is not None:
            code = letter.encode(self.codec)
            usual = len(code) == 2 and self.lead[0] <= code[0] <= self.lead[1]
            usual = usual and code[1] >= self.trail
            return max(chance, (0.98 - self.share) / self.rest) if usual else chance
        beside = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
        mixed = any(other.isalpha() and other.isascii() == self.script for other in beside)
        # Capitals begin words; in the middle of small letters they are a wrong reading.
        inside = letter.isupper() and at > 0 and text[at - 1].islower()
        return chance * 0.02 ** (mixed + inside)


_PAGES = (
    _CodePage("gbk", "GBK (Chinese)", _HAN, 0.45, (0xB0, 0xD7), 0xA1, 3755, weight=3),
    _CodePage("big5", "Big5 (Chinese)", _HAN_TRADITIONAL, 0.45, (0xA4, 0xC6), 0, 5401),
    _CodePage("cp932", "Shift-JIS (Japanese)", _KANA + _KANJI, 0.75, (0x88, 0x97), 0, 2965),
    _CodePage("cp949", "CP949 (Korean)", _HANGUL, 0.85, (0xB0, 0xC8), 0xA1, 2350),
    _CodePage("cp437", "CP437 (DOS)", _LATIN, 0.95, weight=1.5),
    _CodePage("cp850", "CP850 (DOS)", _LATIN, 0.95),
    _CodePage("cp1252", "Windows-1252", _LATIN, 0.95),
    _CodePage("cp852", "CP852 (DOS)", _EASTERN, 0.95, weight=0.4),
    _CodePage("cp1250", "Windows-1250", _EASTERN, 0.95, weight=0.4),
    _CodePage("cp866", "CP866 (Cyrillic)", _CYRILLIC, 0.9, script=True),
    _CodePage("cp1251", "Windows-1251 (Cyrillic)", _CYRILLIC, 0.9, script=True),
    _CodePage("cp737", "CP737 (Greek)", _GREEK, 0.9, script=True, weight=0.3),
    _CodePage("cp1253", "Windows-1253 (Greek)", _GREEK, 0.9, script=True, weight=0.3),
)


def decode_names(names: Iterable[bytes]) -> tuple[Callable[[bytes], str], str | None]:
    """How to decode the names of an archive, which are paths; and the code page if it is a guess.

    UTF-8 where most of the parts that are not ASCII are UTF-8 (then only the others are guessed).
    A name that no code page decodes comes out with lone surrogates.
    """
    parts = {part for name in names if not name.isascii() for part in name.split(b"/")}
    parts = {part for part in parts if not part.isascii()}
    others = {part for part in parts if not _is_utf8(part)}
    if not others:
        return _utf8, None
    mixed = 2 * len(others) < len(parts)
    page = max(_PAGES, key=lambda page: _likelihood(page, others if mixed else parts))

    def decode(name: bytes) -> str:
        pieces = [
            _utf8(part) if part.isascii() or (mixed and _is_utf8(part)) else _guessed(page, part)
            for part in (name.split(b"/") if mixed else [name])
        ]
        return "/".join(pieces)

    return decode, page.title


def _utf8(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _guessed(page: _CodePage, part: bytes) -> str:
    try:
        return part.decode(page.codec)
    except UnicodeDecodeError:
        return _utf8(part)


def _is_utf8(part: bytes) -> bool:
    try:
        part.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _likelihood(page: _CodePage, parts: Iterable[bytes]) -> float:
    """The logarithm of how probable these names are in this code page."""
    total = math.log(page.weight)
    for part in parts:
        try:
            text = part.decode(page.codec)
        except UnicodeDecodeError:
            return -math.inf
        for at, letter in enumerate(text):
            if not letter.isascii():
                total += math.log(page.chance(text, at))
            elif letter in _SECOND_BYTES:
                total += math.log(0.01)
    return total
