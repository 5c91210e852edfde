"""What written American English abbreviates, and how it is said."""

from collections.abc import Mapping
from typing import Final


def _table(rows: str) -> dict[str, str]:
    """Rows of `written=said`, separated by `|`."""
    pairs = (row.split("=") for row in rows.replace("\n", "").split("|"))
    return {written.strip(): said.strip() for written, said in pairs}


def word_set(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


ALWAYS: Final[Mapping[str, str]] = _table("""
24/7=twenty four seven|9/11=nine eleven|50/50=fifty fifty|20/20=twenty twenty|401k=four oh one K|
401(k=four oh one K|w/=with|w/o=without|b/c=because|&=and|@=at|+=plus|%=percent|#=number
""")
"""By the whole word in lower case."""

DOTTED: Final[Mapping[str, str]] = _table("""
mr=Mister|mrs=Missus|ms=Miz|prof=Professor|jr=Junior|sr=Senior|vs=versus|etc=et cetera|e.g=for example|
i.e=that is|approx=approximately|dept=department|appt=appointment|apt=apartment|bldg=building|ext=extension|
inc=Incorporated|ltd=Limited|corp=Corporation|co=Company|est=estimated|min=minimum|max=maximum|tel=telephone|
ave=avenue|blvd=boulevard|rd=road|hwy=highway|pkwy=parkway|mt=Mount|ft=Fort|gov=Governor|sgt=Sergeant|
lt=Lieutenant|capt=Captain|rev=Reverend|sen=Senator|rep=Representative|asst=assistant|mgr=manager|
govt=government|assn=association|intl=international|univ=university|qty=quantity|ref=reference|
mon=Monday|tue=Tuesday|tues=Tuesday|wed=Wednesday|thu=Thursday|thurs=Thursday|fri=Friday
""")
"""With a full stop behind them."""

UNDOTTED: Final = word_set(
    "mr mrs ms prof vs approx dept appt apt bldg inc ltd corp ave blvd hwy pkwy sgt capt asst mgr govt"
)
"""Those that are unmistakable without it."""

CAPITALISED: Final = word_set("co gov rev sen rep mon fri wed mt lt ms")
"""Those that are something else in lower case."""

BEFORE_NUMBERS: Final[Mapping[str, str]] = _table("""
no=number|nos=numbers|apt=apartment|ste=suite|rm=room|ext=extension|bldg=building|fl=floor|hwy=highway|
rte=route|rt=route|ch=chapter|p=page|pp=pages|vol=volume|fig=figure|acct=account|lt=Lieutenant|pt=part
""")

SAID_IN_PAIRS: Final = word_set("""
apartment apt suite ste unit room rm flight route rte rt highway hwy interstate extension ext bus
gate channel building bldg box lot bay ward floor engine medic squad
""")
SAID_ONE_BY_ONE: Final = word_set("""
code pin zip account acct id badge ssn passcode confirmation serial routing policy claim tracking
password passport license build
""")

STREETS: Final[Mapping[str, str]] = _table("""
st=street|street=street|ave=avenue|av=avenue|avenue=avenue|rd=road|road=road|blvd=boulevard|
boulevard=boulevard|dr=drive|drive=drive|ln=lane|lane=lane|ct=court|court=court|pl=place|place=place|
hwy=highway|highway=highway|pkwy=parkway|parkway=parkway|way=way|ter=terrace|terrace=terrace|sq=square|
square=square|cir=circle|circle=circle|trl=trail|trail=trail|aly=alley|plz=plaza|xing=crossing
""")
DIRECTIONS: Final[Mapping[str, str]] = _table(
    "N=north|S=south|E=east|W=west|NE=northeast|NW=northwest|SE=southeast|SW=southwest"
)

STATES: Final[Mapping[str, str]] = _table("""
AL=Alabama|AK=Alaska|AZ=Arizona|AR=Arkansas|CA=California|CO=Colorado|CT=Connecticut|DE=Delaware|FL=Florida|
GA=Georgia|HI=Hawaii|ID=Idaho|IL=Illinois|IN=Indiana|IA=Iowa|KS=Kansas|KY=Kentucky|LA=Louisiana|ME=Maine|
MD=Maryland|MA=Massachusetts|MI=Michigan|MN=Minnesota|MS=Mississippi|MO=Missouri|MT=Montana|NE=Nebraska|
NV=Nevada|NH=New Hampshire|NJ=New Jersey|NM=New Mexico|NY=New York|NC=North Carolina|ND=North Dakota|OH=Ohio|
OK=Oklahoma|OR=Oregon|PA=Pennsylvania|RI=Rhode Island|SC=South Carolina|SD=South Dakota|TN=Tennessee|TX=Texas|
UT=Utah|VT=Vermont|VA=Virginia|WA=Washington|WV=West Virginia|WI=Wisconsin|WY=Wyoming|DC=D-C
""")
ALSO_WORDS: Final = word_set("HI IN LA ME OH OK OR PA ID AL MA CO")

MONTHS: Final[Mapping[str, str]] = _table("""
January=January|February=February|March=March|April=April|May=May|June=June|July=July|August=August|
September=September|October=October|November=November|December=December|Jan=January|Feb=February|Mar=March|
Apr=April|Jun=June|Jul=July|Aug=August|Sep=September|Sept=September|Oct=October|Nov=November|Dec=December
""")
WEEKDAYS: Final[Mapping[str, str]] = _table("""
mon=Monday|tue=Tuesday|tues=Tuesday|wed=Wednesday|thu=Thursday|thurs=Thursday|fri=Friday|sat=Saturday|
sun=Sunday
""")
MONTH_NAMES: Final = tuple(dict.fromkeys(MONTHS.values()))

UNITS: Final[Mapping[str, str]] = _table("""
mg=milligram|kg=kilogram|g=gram|lb=pound|lbs=pound|oz=ounce|km=kilometer|m=meter|cm=centimeter|mm=millimeter|
mi=mile|ft=foot|in=inch|yd=yard|yds=yard|mph=mile per hour|ml=milliliter|l=liter|kb=kilobyte|mb=megabyte|
gb=gigabyte|tb=terabyte|hz=hertz|khz=kilohertz|mhz=megahertz|ghz=gigahertz|min=minute|mins=minute|sec=second|
secs=second|s=second|ms=millisecond|hr=hour|hrs=hour|h=hour|yr=year|yrs=year|wk=week|mo=month|
kwh=kilowatt hour|kw=kilowatt|bpm=beat per minute|psi=P-S-I|db=decibel|sqft=square foot|gal=gallon|pt=pint|
qt=quart|ft²=square foot|m²=square meter|°=degree|°f=degree Fahrenheit|°c=degree Celsius|x=time|
kbps=kilobit per second|mbps=megabit per second
""")
ALONE_UNMISTAKABLE: Final = frozenset(UNITS) - word_set("m in s h g l x pt mo ms mi")
"""Units that may stand apart from their number."""

PLURALS: Final[Mapping[str, str]] = _table("""
foot=feet|inch=inches|hertz=hertz|kilohertz=kilohertz|megahertz=megahertz|gigahertz=gigahertz|P-S-I=P-S-I|
square foot=square feet|square meter=square meters|kilowatt hour=kilowatt hours
""")
"""Of those that do not just take an s on their first word."""

CURRENCIES: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
}
SCALES: Final[Mapping[str, str]] = _table("k=thousand|m=million|b=billion|bn=billion|mm=million")
SCALE_WORDS: Final = word_set("thousand million billion trillion")
PERIODS: Final[Mapping[str, str]] = _table("mo=month|hr=hour|yr=year|wk=week|sqft=square foot")

FRACTIONS: Final[Mapping[str, str]] = _table("""
1/2=one half|1/3=one third|2/3=two thirds|1/4=one quarter|3/4=three quarters|1/5=one fifth|1/8=one eighth|
3/8=three eighths|5/8=five eighths|7/8=seven eighths|1/10=one tenth|½=one half|⅓=one third|⅔=two thirds|
¼=one quarter|¾=three quarters
""")

SPELLED: Final = word_set("""
AI AKA API APR ATM AWS BTW CAD CEO CFO CIA COO CTO DEA DIY DOA DUI EMS EMT EOD EOM ER ERP ETA EU FAQ
FBI FYI GPA HOA HR HIV IBM ICU ID IOU IP IPO IRA IRS IV KPI LLC MRI MVP NDA OEM OTC PA POA POS PR QA
ROI RPO RSVP SAT SEO SLA SMS SQL TBA TBD TSA TV UI UK UN UPS URL US USA USB USPS UV UX VA VIP VPN
""")
"""Spelled although they could be read as words."""

READ_AS_WORDS: Final = word_set("DR JR MR MRS MS SR ST VS HM HMM MM MMM PSST SHH")
"""Not spelled although they have no vowel."""

SYMBOLS: Final[Mapping[str, str]] = {
    ".": " point ",
    "/": " slash ",
    "#": " number ",
    "*": " star ",
    "+": " plus ",
    "&": " and ",
    "@": " at ",
    "=": " equals ",
    "%": " percent ",
    "$": " dollars ",
    "°": " degrees ",
}
IN_ADDRESSES: Final[Mapping[str, str]] = {
    ".": " dot ",
    "@": " at ",
    "-": " dash ",
    "_": " underscore ",
    "/": " slash ",
    "+": " plus ",
    ":": " colon ",
    "?": " question mark ",
    "=": " equals ",
    "&": " and ",
    "%": " percent ",
    "#": " hash ",
    "~": " tilde ",
}
"""Symbols in e-mail and web addresses."""

OPENERS: Final = word_set("""
A And Any Are But Call Can Could Do Did For He Her His How I If In Is It Its Let My No Not Now Okay
On Or Our Please Send She So Tell Thank Thanks That The Then There They This We What When Where
Which Who Why Will With Would Yes You Your
""")
"""Words that begin a sentence behind an abbreviation."""
