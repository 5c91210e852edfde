"""espeak-ng's English voices: those that training hears, and those that only the evaluation does."""

DIALECTS = (
    *["en-us"] * 8, "en-us-nyc", "en", "en", "en-gb-x-rp", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbcwmd",
    "en-029",
)  # fmt: skip
VARIANTS = (
    "", "", "+m1", "+m2", "+m3", "+m4", "+m5", "+m7", "+f1", "+f2", "+f3", "+f3", "+f4", "+Andrea",
    "+Alex", "+Alicia", "+Andy", "+Diogo", "+Gene", "+Gene2", "+Henrique", "+Hugo", "+Jacky", "+Lee",
    "+Mario", "+Mike", "+Nguyen", "+Reed", "+RicishayMax", "+RicishayMax3", "+announcer", "+antonio",
    "+aunty", "+belinda", "+benjamin", "+boris", "+caleb", "+david", "+ed", "+edward", "+edward2",
    "+grandma", "+grandpa", "+gustave", "+iven", "+iven2", "+iven3", "+john", "+kaukovalta", "+klatt",
    "+klatt2", "+klatt3", "+klatt4", "+linda", "+marcelo", "+max", "+michel", "+miguel", "+mike2",
    "+norbert", "+pablo", "+pedro", "+quincy", "+rob", "+robert", "+sandro", "+shelby", "+travis",
    "+victor",
)  # fmt: skip

UNHEARD = (
    "en-us+m6", "en+f5", "en-gb-x-gbclan+m8", "en-us+steph", "en+adam", "en-us+Michael", "en-us+Annie",
    "en-gb-x-rp+paul", "en-us+Denis", "en-us+zac", "en-us-nyc+anika", "en-us+ian",
)  # fmt: skip
"""Neither these variants nor the dialect en-gb-x-gbclan are in training."""
HEARD = (
    "en-us+f3", "en-us+m3", "en+f2", "en-gb-scotland+m2", "en-gb-x-rp+linda", "en-us-nyc", "en-us+max",
    "en-us+belinda",
)  # fmt: skip
