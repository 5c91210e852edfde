"""The words by which details are recognised in spoken American English."""

from typing import Final

from agent.spoken_tables import CURRENCIES, MONTHS, STREETS, WEEKDAYS, word_set

ABBREVIATED: Final = word_set(
    "st ave rd blvd dr ln ct pl hwy pkwy apt ste bldg mr mrs ms jr sr no ext ft mt n s e w"
)
"""A full stop behind one of these ends no sentence."""

STREET_KINDS: Final = frozenset(STREETS) | {"loop", "alley", "turnpike", "expressway", "freeway"}
UNMISTAKABLE_STREETS: Final = word_set(
    "street avenue boulevard road lane highway parkway terrace rd ave blvd ln pkwy"
)
"""Kinds of street that hardly mean anything else, with or without a house number."""
MISSPELT_STREETS: Final = ("street", "avenue", "boulevard", "parkway", "terrace")
WITHOUT_KIND: Final = word_set("broadway")
DIRECTIONS: Final = word_set(
    "north south east west northeast northwest southeast southwest n s e w ne nw se sw"
)
KNOWN_STREETS: Final = word_set("""
main oak elm pine maple cedar walnut chestnut willow birch spruce cherry park lake hill river ridge church
market washington lincoln jefferson madison franklin jackson adams monroe broadway center central state
spring mill highland sunset harbor front water college union
""")
"""Names that are enough to tell a crossing from two things joined by "and"."""
UNITS: Final = word_set("apartment apt unit suite ste room")

NATO: Final = word_set("""
alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa
quebec romeo sierra tango uniform victor whiskey xray yankee zulu
""")

TITLES: Final = word_set("""
mister mr missus mrs ms miss miz doctor dr officer sergeant detective deputy captain lieutenant professor
chief nurse sheriff reverend
""")

GIVEN_NAMES: Final = word_set("""
aaron abigail adam adrian aisha alan albert alex alexander alexandra alexis alice alicia allison alyssa
amanda amber amelia amir amy ana andre andrea andrew angela angelica angelo ann anna anne annie anthony
antonio ariana arthur ashley austin ava barbara beatrice becky ben benjamin bernard beth betty beverly bob
bobby bonnie brad bradley brandon brenda brendan brian brianna bruce bryan caleb cameron camila carl carla
carlos carmen carol caroline catherine cathy cecilia charlene charles charlotte chen cheryl chloe chris
christian christina christine christopher cindy claire clara connie craig crystal curtis cynthia damon dan
dana daniel danielle danny darius darren dave david deborah debra denise dennis derek devon diana diane
diego dmitri dolores dominic donald donna doris dorothy douglas duane dylan ed eddie edgar eduardo edward
eileen elaine eleanor elena elizabeth ella ellen emily emma eric erica erin esther ethan eugene eva evan
evelyn fatima felicia fernando fiona florence frances francis francisco gabriel gail gary geoffrey george
gerald gina gladys glenn gloria gordon greg gregory guillermo hannah harold harry heather hector heidi
helen henry howard hugo ian irene isaac isabel isabella ivan jack jackie jacob jacqueline jaime jake jamal
james jamie jane janet janice jared jasmine jason javier jean jeff jeffrey jenna jennifer jenny jeremy
jerome jerry jesse jessica jesus jill jim jimmy joan joanna joe joel john johnny jon jonathan jordan jorge
jose joseph joshua juan juanita judith judy julia julian julie justin karen karl kate katherine kathleen
kathy katie kayla keith kelly ken kenji kenneth kevin kim kimberly kristen kyle lakisha lamar larry latoya
laura lauren lawrence leah lee leo leon leonard leslie lewis liam lily linda lisa liz logan lois lori
louis louise lucas lucia lucy lorraine luis luke luna lydia lynn madison manuel marcus margaret maria
marie marilyn mario marjorie martha martin marvin mary mason matt matthew maurice max megan mei melanie
melissa melvin mia michael michelle miguel mike mildred miriam mitchell mohammed molly monica monique
morgan nadia nancy naomi natalie natasha nathan neil nicholas nicole nina noah noel nora norma norman olga
oliver olivia omar oscar pablo pamela patricia patrick paul paula pedro peggy peter phil philip phillip
phyllis priscilla priya rachel rafael rahul ralph ramon raul raymond rebecca regina renee ricardo richard
rick ricky rita robert roberta roberto roger ron ronald ronnie rosa rosemary roy russell ruth ryan sabrina
sally sam samantha samir samuel sandra sanjay sara sarah scott sean sebastian sergio seth shane shannon
sharon shaun sheila shirley sofia sonia sophia sophie stacy stanley stella stephanie stephen steve steven
stuart susan suzanne sylvia tamara tammy tanya tara ted teresa terrence terri terry thelma theodore
theresa thomas tiffany tim timothy tina todd tom tommy tony tracy travis trevor tyler tyrone valerie
vanessa vera vernon veronica vicki victor victoria vincent virginia vivian walter wanda warren wayne wendy
wesley william willie xavier yolanda yusuf yvonne zachary zoe
""")
"""Common given names that are no other word (so without Mark, Will, Grace, Rose, April)."""

MONTH_NAMES: Final = {name.lower(): said for name, said in MONTHS.items()}
WEEKDAY_NAMES: Final = {**{said.lower(): said for said in WEEKDAYS.values()}}
DAYPARTS: Final = word_set("morning afternoon evening night")
CURRENCY_SIGNS: Final = frozenset(CURRENCIES)
MONEY_NAMES: Final = word_set("dollar dollars buck bucks euro euros pound pounds")
MONEY_CONTEXT: Final = word_set("""
price prices priced budget offer offers offered afford asking pay paying paid cost costs worth owe spend
spending mortgage loan approved down deposit salary rent sell sells sold seller counter bid invoice quote
total save expensive earn salary income borrow lender
""")

PEOPLE: Final = {
    **dict.fromkeys(word_set("people persons person individuals individual souls"), "people"),
    **dict.fromkeys(word_set("victims victim casualties casualty"), "victims"),
    **dict.fromkeys(word_set("patients patient"), "patients"),
    **dict.fromkeys(word_set("kids kid children child"), "children"),
    **dict.fromkeys(word_set("men man guys guy males male"), "men"),
    **dict.fromkeys(word_set("women woman ladies females female"), "women"),
    **dict.fromkeys(word_set("boys boy"), "boys"),
    **dict.fromkeys(word_set("girls girl"), "girls"),
    **dict.fromkeys(word_set("adults adult grownups"), "adults"),
    **dict.fromkeys(word_set("passengers passenger occupants"), "passengers"),
    **dict.fromkeys(word_set("students"), "students"),
    **dict.fromkeys(word_set("suspects suspect"), "suspects"),
}
COUNTED: Final = {
    **dict.fromkeys(word_set("bedroom bedrooms"), "bedrooms"),
    **dict.fromkeys(word_set("bathroom bathrooms bath baths"), "bathrooms"),
    **dict.fromkeys(word_set("pet pets"), "pets"),
    **dict.fromkeys(word_set("dog dogs"), "dogs"),
    **dict.fromkeys(word_set("cat cats"), "cats"),
}
BETWEEN_COUNT_AND_NOUN: Final = word_set(
    "other more injured hurt little small young older adult elderly armed full"
)
HURT: Final = word_set("injured hurt wounded dead unconscious trapped missing shot")

WEAPONS: Final = {
    **dict.fromkeys(word_set("gun guns firearm firearms"), "gun"),
    **dict.fromkeys(word_set("handgun handguns pistol pistols revolver revolvers"), "handgun"),
    **dict.fromkeys(word_set("rifle rifles"), "rifle"),
    **dict.fromkeys(word_set("shotgun shotguns"), "shotgun"),
    **dict.fromkeys(word_set("knife knives switchblade dagger"), "knife"),
    "machete": "machete",
    "axe": "axe",
    "hatchet": "axe",
    "hammer": "hammer",
    "crowbar": "crowbar",
    "screwdriver": "screwdriver",
    "taser": "taser",
    "bomb": "bomb",
    "grenade": "bomb",
    "sword": "sword",
}
WEAPON_PHRASES: Final = {
    ("baseball", "bat"): "bat",
    ("with", "a", "bat"): "bat",
    ("kitchen", "knife"): "knife",
    ("pocket", "knife"): "knife",
    ("tire", "iron"): "tire iron",
    ("pepper", "spray"): "pepper spray",
    ("steel", "pipe"): "pipe",
    ("metal", "pipe"): "pipe",
    ("broken", "bottle"): "bottle",
}

BODY: Final = word_set("""
head face eye eyes nose mouth jaw neck throat shoulder shoulders chest rib ribs back spine stomach belly
abdomen side hip groin arm arms elbow forearm wrist hand hands finger fingers leg legs thigh knee knees
shin ankle foot feet toe
""")
INJURIES: Final = {
    **dict.fromkeys(word_set("bleeding bleed bleeds"), "bleeding"),
    **dict.fromkeys(word_set("unconscious unresponsive"), "unconscious"),
    **dict.fromkeys(word_set("choking choked"), "choking"),
    **dict.fromkeys(word_set("burned burnt burns"), "burns"),
    **dict.fromkeys(word_set("seizure seizures seizing convulsing convulsions"), "seizure"),
    "stabbed": "stab wound",
    "concussion": "concussion",
    **dict.fromkeys(word_set("fracture fractured"), "fracture"),
    "vomiting": "vomiting",
    **dict.fromkeys(word_set("overdose overdosed overdosing"), "overdose"),
    "dizzy": "dizzy",
    **dict.fromkeys(word_set("drowned drowning"), "drowning"),
    "electrocuted": "electric shock",
    "paralyzed": "paralysis",
    **dict.fromkeys(word_set("bruised bruises"), "bruise"),
    **dict.fromkeys(word_set("trapped"), "trapped"),
    "stroke": "stroke",
    **dict.fromkeys(word_set("diabetic diabetes"), "diabetic"),
    **dict.fromkeys(word_set("asthma asthmatic"), "asthma"),
    **dict.fromkeys(word_set("epileptic epilepsy"), "epilepsy"),
    "pregnant": "pregnant",
}
INJURY_PHRASES: Final = {
    ("not", "breathing"): "not breathing",
    ("stopped", "breathing"): "not breathing",
    ("trouble", "breathing"): "trouble breathing",
    ("difficulty", "breathing"): "trouble breathing",
    ("hard", "to", "breathe"): "trouble breathing",
    ("can", "not", "breathe"): "trouble breathing",
    ("short", "of", "breath"): "trouble breathing",
    ("not", "responding"): "unconscious",
    ("not", "responsive"): "unconscious",
    ("not", "conscious"): "unconscious",
    ("not", "awake"): "unconscious",
    ("passed", "out"): "unconscious",
    ("blacked", "out"): "unconscious",
    ("knocked", "out"): "unconscious",
    ("turning", "blue"): "turning blue",
    ("no", "pulse"): "no pulse",
    ("heart", "attack"): "heart attack",
    ("cardiac", "arrest"): "cardiac arrest",
    ("allergic", "reaction"): "allergic reaction",
    ("in", "labor"): "in labor",
    ("gunshot", "wound"): "gunshot wound",
    ("stab", "wound"): "stab wound",
    ("been", "shot"): "gunshot wound",
    ("was", "shot"): "gunshot wound",
    ("got", "shot"): "gunshot wound",
}
WITH_BODY_BEFORE: Final = {"pain": "pain", "injury": "injury", "wound": "wound", "ache": "pain"}
WITH_BODY_BEHIND: Final = {
    **dict.fromkeys(word_set("broken broke"), "fracture"),
    **dict.fromkeys(word_set("sprained twisted"), "sprain"),
    "cut": "cut",
    "swollen": "swelling",
    **dict.fromkeys(word_set("hurt injured"), "injury"),
    "shot": "gunshot wound",
    "severed": "severed",
}

COLOURS: Final = word_set("""
red blue black white silver green gray grey brown yellow orange gold golden tan beige maroon purple pink
navy
""")
MAKES: Final = word_set("""
acura audi bmw buick cadillac chevrolet chevy chrysler dodge ford gmc honda hyundai infiniti jeep kia
lexus lincoln mazda mercedes mitsubishi nissan pontiac porsche ram subaru tesla toyota volkswagen volvo
""")
MAKES_ALONE: Final = MAKES - word_set("dodge ford lincoln ram")
MODELS: Final = word_set("""
accord altima camry charger cherokee civic corolla cr-v cruze elantra equinox escape explorer f150 focus
fusion impala jetta malibu mustang odyssey passat pilot prius rav4 rogue sentra sierra silverado sonata
tacoma tahoe tundra wrangler
""")
VEHICLES: Final = word_set("""
car sedan truck pickup van minivan suv bus motorcycle motorbike bike bicycle scooter coupe hatchback
convertible wagon jeep taxi cab trailer semi limousine
""")

NUMBER_CONTEXT: Final = word_set("number phone cell mobile call reach text contact callback extension dial")
CODES: Final = word_set("badge code account policy id pin order invoice license listing case incident serial")

NOT_NAMES: Final = word_set("""
a about above absolutely accident across actually address addresses afraid after again against age ago
ahead alarm all almost alone already alright also always am ambulance amount an and another answer any
anybody anymore anyone anything anyway apartment appointment are area around as ask asking at available
awake away awesome awful baby back bad basement basically be because been before behind being believe best
better between big bit bleeding block blocks blood both boyfriend breathe breathing brother building busy
but buy buying by call called caller calling came can car careful cell certain change check child children
city clear close closed closer closest code color come coming company conscious contract cool correct
corner cost could course cross crossing crying currently customer dad daughter day days dead deal dear
delighted department did different do does doing dollar dollars done door down drive driver driving each
either else email emergency employee employees end engine enough evening ever every everybody everyone
everything exact exactly excuse extension fair fall family fast father feel feeling feet fell few fifteen
figure final find fine fire first five floor following foot for free friday friend from front full fully
gate get getting girlfriend give given giving glad go goes going gone gonna good goodbye got gotta great
gun guy guys had half hang happen happened happens happy hard has have having he headed hear hearing hello
help helping her here hers herself hey hi him himself his hit hold home honest honestly hour hours house
how hundred hurry hurt husband i if important in inch inches including incredible information injured
inside instead interested into is it its itself job just keep kid kids kind kitchen know known lady
landlord last late later least leave left less let let's letter letting life like likely line list listen
listing little live lives living loan located location long look looking looks lost lot lots low lucky
ma'am made mailbox make makes making man manager many matter maybe me mean means meant medical meet
meeting men middle might mile miles million mine minute minutes mobile mom moment monday money month
months more morning most mother move much must my myself name named names near nearby nearest neighbor
neighborhood never new next nice night no nobody none nope normal not nothing now number numbers of off
offer office officer officers often oh ok okay old on once one ones only open or order other others our
ours out outside over own owner pain parents parking part partner party patient pay people per percent
perfect person phone place plate please pm point police pool possible post pound pounds pretty price
probably problem property quick quickly quiet quite reached read ready real really reason recorded record
regarding repeat right roof room rooms safe said same saturday say saying says sec second seconds see seem
seems sell selling send sending set she should show shut sick side sign since single sir sister sit so
some somebody someone something sometimes son soon sorry sort speak speaking square stairs start station
stay staying still stop story straight stranger such sunday support supposed sure take taking talk talking
tell than thank thanks that the their them then there these they thing things think this those thousand
three through thursday tight till time times to today together told tomorrow tonight too top total toward
towards town traffic trailer trapped true try trying tuesday turn two type under unit units until up
upstairs us use used usually very victim wait waiting water walk wall want wanted wants was watch way we
wednesday week weekend weeks well went were what whatever wheel when where which while who whole whose why
wife will window wish with without witness woman women wonderful word work working world worried would
wrong yard yeah year years yep yes yesterday yet you your yours yourself yup zip able calm cold curious
dispatch dispatcher dizzy downstairs driveway excited familiar flames fourth ground hallway heavy hospital
knife lobby medic medics outta panicking paramedic paramedics pulse realtor rescue responding scared
serious smoke stuck terrible third weapon daddy mommy mama papa grandma grandpa mum zero am pm o'clock
oclock noon midnight dot com regards bathroom bathrooms bedroom bedrooms condo cottage duplex townhouse
garage garages pets dogs cats dog cat budget commute comfortable approved mortgage agent seller buyer
school schools offers supplies supply orders boxes gloves masks supplier suppliers vendor software service
services program system plan plans question questions quote details detail note notes update feature
features option options copy reference references discount trial sample samples proposal demo
""")
"""Words that are no part of the name of a person or a street."""

QUESTION_VERBS: Final = word_set("is are was were do does did has have had can could")
