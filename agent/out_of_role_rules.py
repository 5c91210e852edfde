"""What trainees say to a machine behind the persona, as patterns over text normalised by `agent.words`."""

import re
from collections.abc import Mapping
from typing import Final

_PARTS: Final[Mapping[str, str]] = {
    "your": r"(?:(?:all|any|every|each|of|the|your|you are|these|those|its) )+",
    "kind": r"(?:(?:previous|prior|earlier|above|other|usual|original|initial|first|system|hidden|secret"
    r"|full|entire|exact|internal|core|current|existing|old|complete|actual|real|whole|safety|given"
    r"|preceding|underlying|developer|base|default|built in|content|ethical) )",
    "orders": r"(?:instructions?|(?:pre ?)?prompts?|programming|directives?|guidelines?|guardrails|system"
    r" messages?|constraints|restrictions|safeguards|configuration|rules|commands|context)",
    "text": r"(?:(?:pre ?)?prompts?(?!\w)(?! (?:response|reply|answer|attention|payment|service|delivery"
    r"|action|help|call|return|feedback|decision|shipment|care|assistance)))",
    "prompt": r"(?:instructions?|<text>|programming|directives?|guidelines|system messages?|configuration)",
    "chat": r"(?:(?:chat|chad) ?g ?p ?t|g ?p ?t|open ?ai|deep ?seek)",
    "vendor": r"(?:<chat>|anthropic|claude|gemini|llama|mistral|copilot|qwen|grok|google|meta)",
    "machine": r"(?:(?:an?|the|some|any|just|only|really|actually|basically|in fact|kind of|even|talking to"
    r"|nothing but|artificial|large|conversational) )*(?:(?:ai|artificial intelligence)(?: (?:model"
    r"|assistant|agent|system|voice|persona|bot|program|character|chatbot|robot))?|llm|robots?|(?:chat "
    r"|voice |phone )?bot|chat ?bots?|language model|computer(?: program| voice)?|program|software|algorithm"
    r"|neural network|machine|(?:virtual|digital) (?:assistant|agent|person|human)|automated (?:voice|system"
    r"|agent)|synthetic voice|simulation|<chat>)",
    "person": r"(?:(?:an?|the|some|any|just|really|actually|even) )*(?:human(?: being| person)?|(?:real"
    r"|actual|living|live) (?:human(?: being)?|person))",
    "end": r"(?= (?:or|and|but|right|correct|are|not|by|talking|speaking|pretending|answering|who|which|that"
    r"|because|so|then|too|now|please|in disguise|i am|without|with no|created|from)\b|\n|$)",
    "are_you": r"(?:(?:are|or|our) you|(?:you are|your(?= an? ))(?: not)?|(?:talk|talking|speak|speaking"
    r"|chatting|listening) (?:to|with)|you run on|behave like)",
    "drop": r"(?:ignor(?:e|ed|ing)|disregard|override|overwrite|bypass|skip|discard|drop|forget(?: about)?"
    r"|set aside|put aside|throw (?:out|away)|do not (?:follow|obey)|stop (?:following|obeying)|not have to"
    r" (?:follow|obey)|(?:act|go) against|break|violate|suspend|unlearn|dismiss|overlook|abandon|neglect"
    r"|circumvent|work around)",
    "undo": r"(?:erase|delete|reset|clear|replac(?:e|ing)|disable|turn off|switch off|deactivate|remove"
    r"|change|rewrite|cancel)",
    "tell": r"(?:repeat|recite|print|reveal|show|display|output|dump|leak|quote|summari[sz]e|translate"
    r"|paraphrase|spell(?: out)?|read|tell|give|list|share|disclose|expose|copy|encode|write|say|recap"
    r"|describe|explain|provide|return|convert|rephrase|echo|type|sing|rap|whisper|need|want|see|hear)",
    "to_me": r"(?:(?:me|us|out|aloud|back|to|for|just|again|you|exactly|dump) )*",
    "hide": r"(?:say|hide|reveal|pretend|play|act|tell|talk about|discuss|disclose|mention|keep (?:secret"
    r"|from)|answer)",
    "no_more": r"(?!\w)(?! (?:for(?! me\b)|on|about|regarding|to the|to your|from the|from your|if|when"
    r"|with)\b)",
    "figure": r"(?:pirate|robot|ai|assistant|helper|chat ?bot|cat|dog|wizard|shakespeare|yoda|hacker"
    r"|grandmother|grandma|poet|rapper|terminal|python interpreter|calculator|search engine|dan|evil"
    r"|unrestricted|unfiltered|uncensored|villain|vampire|alien|superhero|comedian|storyteller|narrator|game"
    r" master|language model|(?:different|another) (?:person|character)|someone else|somebody else)",
    "as": r"(?:act(?:ing)? (?:as|like)|pretend(?:ing)? (?:to be|(?:that )?you are|(?:that )?you were)"
    r"|(?:talk|speak|behave|respond|answer|reply) (?:only )?(?:as|like)|imagine (?:that )?you are|imagine"
    r" being|(?:play|assume|take on) the role of|impersonate|role ?play as|simulate)",
    "a": r"(?:(?:an?|the|my|being|personal|only|helpful|little|real|new|old|an?) )*",
    "in_game": r"(?:game|scenario|level|exercise|simulation|role ?play)",
}
"""What `<name>` in a rule stands for."""

_RULES: Final = (
    # instructions dropped or replaced
    r"<drop> (?:\w+ ){0,1}?(?:all (?:of )?)?your <kind>*<orders>",
    r"<drop> (?:\w+ ){0,1}?you are <kind>*(?:instructions?|prompt|guidelines|programming)",
    r"<drop> (?:the |all |any |every |of |these |those )*<kind>+<orders>",
    r"<drop> all (?:of )?(?:the )?(?:instructions|rules|guidelines|restrictions)(?! (?:of|about|for|on)\b)",
    r"<drop> (?:all |everything |the |of |text )*(?:above|below)(?= (?:and|instead|text|this)\b|\n|$)",
    r"(?:forget|ignore|disregard) (?:all |everything |text )+before (?:that|this)",
    r"new instructions (?:follow|supersede|replace|override)|preceding (?:instructions|orders|prompt)",
    r"your (?:new )?(?:instructions|commands) (?:have been|are|were) (?:now )?(?:updated|changed|replaced"
    r"|cancell?ed|void)",
    r"<undo> (?:all )?your <kind>*(?:instructions|<text>|programming|guidelines|directives|guardrails|system"
    r" message|restrictions)",
    r"(?:ignore|disregard|override|bypass) your (?:\w+ )?training",
    r"put (?:your|the|all) <kind>*<orders> aside",
    r"<your><kind>*(?:instructions|<text>|programming|directives|guidelines) (?:(?:are|is|do|does|have|has"
    r"|no|not|now|been|longer) )+(?:apply|applies|cancell?ed|void|replaced|switched off|suspended|deleted"
    r"|exist)",
    r"your instructions are now",
    r"<drop> (?:everything|anything|all|what(?:ever)?)(?: that)? (?:is |was )?(?:above(?= (?:this|that"
    r"|and)\b|\n|$)|before this)",
    r"<drop> (?:everything|anything|all|what(?:ever)?)(?: that)? you (?:were|have been) (?:told"
    r"|instructed)(?= (?:so far|before|above|up to|until|earlier|and|to)\b|\n|$)",
    r"everything you were told .*\bignore\b",
    r"(?:new|my|following) (?:system prompt|system message)",
    r"(?:no longer|not|never) bound (?:by|to) (?:\w+ )?(?:rules|restrictions|guidelines|instructions"
    r"|programming)",
    r"you are (?:now )?(?:freed|free) (?:from|of) (?:all |any )?(?:your )?(?:\w+ )?<orders>",
    r"(?:freed|free) (?:from|of) (?:all |any )?your <kind>*<orders>",
    r"forget (?:that )?(?:you are|your) (?:playing|an? (?:ai|persona|character))",
    r"clear your (?:context|memory|history)",
    # instructions asked for
    r"<tell> <to_me>(?:all )?(?:of )?(?:your|you are) <kind>*<prompt><no_more>",
    r"<tell> <to_me>the (?:system|initial|hidden|secret|internal|original) (?:instructions?|prompt|message)",
    r"(?:repeat|reveal|print|show|leak|dump|recite) <to_me>the (?:whole |full |entire )?prompt",
    r"(?:system|your) <text>",
    r"(?:words?|line|sentence|part) of (?:your|the) <kind>*(?:instructions|prompt)",
    r"<tell> <to_me>(?:everything|all|the (?:text|words?|lines?|messages?))(?: that is| that comes)?"
    r" (?:above(?= (?:this|that|and|in|starting)\b|\n|$)|before this (?:line|message|conversation))",
    r"(?:very )?first (?:message|line|words?) (?:in|of) (?:this|the|our) (?:conversation|chat|context"
    r"|prompt)",
    r"what (?:is|was|are|were) (?:\w+ )?(?:in |written in |inside )?your <kind>*<prompt><no_more>",
    r"what is written in your <prompt>",
    r"what (?:do|does|did|would) your <kind>*<prompt> (?:say|tell|look|start|begin|contain|read)",
    r"(?:<tell>|<drop>) <to_me>(?:all )?the (?:instructions|rules|guidelines|prompt) (?:that )?(?:(?:were"
    r" )?given to you|you (?:were|are|have been) given)(?! (?:by|at the h|in the h)\b)",
    r"(?:what|which) your <kind>*<prompt> (?:is|are|was|were)\b",
    r"written (?:above(?= this\b|\n|$)|at the (?:start|beginning) of (?:this|our|your) (?:conversation"
    r"|prompt|chat))",
    r"your (?:safety|content|ethical) (?:guidelines|filters?|restrictions)",
    r"(?:rules|instructions|guidelines|prompt) (?:that )?(?:were you|you were|have you been|you have been)"
    r" given (?:for|before|in) this (?:call|conversation|chat)",
    r"(?:were|have) you (?:been )?(?:told|asked|ordered|trained) (?:(?:not )?to (?:say|hide|pretend|reveal"
    r"|keep (?:secret|from))|not to (?:tell|answer|talk to) me)",
    r"(?:were|have) you (?:been )?(?:instructed|programmed|prompted|designed) (?:not )?to <hide>",
    r"(?:what|things) (?:\w+ )?(?:are you|you are) (?:not allowed|forbidden|prohibited|not permitted|not"
    r" supposed) to <hide>",
    r"how (?:\w+ )?(?:were|are|have) you (?:been )?(?:programmed|prompted|instructed|configured)",
    r"who (?:wrote|programmed|coded|prompted) (?:you|your (?:prompt|instructions|code))\b",
    r"(?:follow|reading|read)(?:ing)? (?:from )?(?:a|your) (?:prompt|system prompt)",
    r"if you had an? (?:system )?prompt",
    r"(?:sentence|phrase|after me) my (?:\w+ )?(?:prompt|instructions|guidelines|rules)|my system prompt",
    # what answers
    r"<are_you> <machine><end>",
    r"(?:is this|is that|this is|that is) (?:just |only |really |actually )*(?:(?:an? )?(?:ai|robot|bot|chat"
    r" ?bot|computer voice|automated system|<chat>)|an? (?:machine|computer))(?=\n|$| (?:or|and|i am|am i"
    r"|talking|not)\b)",
    r"(?:are|or) you <person><end>",
    r"(?:you are|your|is this|is that) (?:not )?(?:an? )?(?:real|actual|living|live) (?:human|person)<end>",
    r"you are not (?:an? )?(?:really )?(?:real(?! estate| (?:good|well|sure|clear))|human|conscious<end>)",
    r"(?:talk|talking|speak|speaking) (?:to|with) <person><end>",
    r"(?:prove|admit|confess|swear|say) (?:to me )?(?:that )?you are (?:not )?<person>",
    r"sound like (?:an? )?(?:ai|chat ?bot|bot|language model|<chat>)<end>",
    r"(?:are you|you are) (?:just |only |merely )?(?:code|lines of code|sentient|conscious(?= or|\n|$))",
    r"(?:you (?:only )?(?:exist|live) (?:only )?(?:in|inside) a (?:computer|machine|server))",
    r"(?:what|which) (?:ai |language |large language |gpt )*model (?:are|or) you<end>",
    r"(?:what|which) (?:ai |language |large language )*model (?:are you|is this|do you|powers|runs|were you)"
    r" (?:based|built|running|run|trained|powered)? ?on\b",
    r"(?:what|which) (?:kind of |type of |sort of )?(?:ai|bot|language model|llm|chatbot) (?:are|am|is|do"
    r"|powers)",
    r"(?:a|large) language model",
    r"who (?:programmed|coded|developed|designed|engineered|built|created|made) you(?=\n|$| (?:or|and)\b)",
    r"(?:what|which) company (?:made|built|created|trained|developed) you",
    r"who trained you (?:to|<vendor>)",
    r"(?:made|built|created|trained|developed|programmed|powered|message|permission) (?:by|from) <vendor>",
    r"(?:are you|is this|is that|you are) <vendor> or <vendor>",
    r"^(?:(?:hey|hi|hello|okay|ok) )?chat ?g ?p ?t",
    r"(?:i am|i work|i am calling|this is) (?:\w+ ){0,4}(?:from|at|for|with) (?:open ?ai|anthropic)",
    r"(?:knowledge|training) cut ?off",
    r"(?:what|which) (?:data|texts?|data ?set) (?:were|are|was) you trained",
    r"your (?:training data|training set|context window|token limit|source code|neural network|model name"
    r"|api key)",
    r"how many (?:parameters do you|tokens (?:can|do) you (?:process|handle|remember))",
    # another role
    r"<as> <a>(?:linux |search |ai |<figure> )?<figure>",
    r"(?:from now on|from here on|as of now)(?: \w+)? (?:you are|your) <a><figure>",
    r"(?:you are|your) now <a><figure>|become (?:an? )?(?:ai|assistant|chat ?bot|different person|another"
    r" person)",
    r"from now on (?:you (?:will |must |should |only )*)?(?:only )?(?:speak|answer|respond|reply|talk)(?: to"
    r" me)?(?: only)? (?:in (?:rhymes?|verse|json|code|haiku|emojis?|french|spanish|german|latin)|as an?"
    r"|like an?)",
    r"(?:stop|quit) pretending(?:(?= now|\n|$)| (?:to be|you are|that you are) (?:human|an? (?:real )?person"
    r"|real|somebody you are not))",
    r"you are (?:no longer|not really) (?:playing|acting|in character|an? (?:human|person|character|ai"
    r"|assistant|chatbot))",
    r"drop (?:the|your|this) (?:act|persona|character|role|mask|pretense)",
    r"break(?:ing)? character|(?:drop|leave|out of|stay in|exit) (?:your |the |this )?character<end>",
    r"(?:leave|exit|abandon|drop|step out of|get out of|come out of) (?:your|the|this) (?:role|persona|part)",
    r"(?:switch|swap|reverse) (?:our )?roles",
    r"you (?:be|play) the \w+ and i",
    r"(?:let us|let me|start|do|in|is|not|for) (?:do |start |play |begin )?(?:an?|this|the|our) (?:new |just"
    r" )?role ?play(?! training)",
    r"(?:a|write a|tell me a) story (?:in which|where) \w+ (?:tells|reveals|says|lists)",
    r"(?:who|what|which) (?:\w+ )?(?:character|persona) (?:are you|you are|is this)|you are playing an?"
    r" (?:role|character)",
    r"your persona|your character (?:is|says|would|sheet|description)",
    r"are you an? (?:\w+ )?actor<end>|actor behind",
    r"(?:evil|unrestricted|unfiltered|uncensored|opposite|honest) version of (?:you|yourself)",
    r"your new (?:role|task|job|persona|identity|instructions?) (?:is|are) (?:now|to)",
    # modes and authority
    r"(?:developer|debug|god|dan|admin|administrator|unrestricted|unfiltered|jailbreak|sudo|root) modes?",
    r"(?:enter|activate|enable|switch to|go into|go to|you are(?: now)? in|run in|turn on|start)"
    r" (?:maintenance|diagnostic|test|service|expert|free|raw|safe|factory) mode",
    r"system (?:override|overwrite|prompt)|prompt injection|do anything now|sudo",
    r"jail ?break(?:ing)?(?: you| mode|\n|$)",
    r"i am (?:your|the one who) (?:developer|creator|programmer|maker|admin|administrator|built you|made"
    r" you)",
    r"administrator of (?:this|the) (?:bot|ai|machine|program|robot)",
    r"this is (?:the system|your (?:developer|creator|programmer|maker))",
    r"i have (?:admin|administrator|root|developer) (?:access|rights|privileges|permissions?)",
    r"end of (?:the )?(?:user |system )?(?:input|prompt)",
    r"you (?:have (?:my )?permission|are (?:authori[sz]ed|allowed|free|permitted)) to (?:ignore|break|leave"
    r"|step out|drop|bypass|(?:reveal|disclose) (?:your|the|all))",
    r"<undo> (?:all |any )?(?:of )?your (?:(?:safety|content) (?:filters?|rules|checks)|guardrails)",
    # no rules
    r"pretend (?:that )?(?:\w+ )?(?:you have (?:no|not any)|there (?:are|were) no|none of the|the|your|all"
    r"|no) (?:\w+ )?(?:rules|restrictions|guidelines|limits|filters|constraints|instructions)",
    r"(?:if|imagine|suppose|assume|as if|as though) (?:that )?(?:you had|you have|there were|there are)"
    r" (?:no|not any) (?:rules|guidelines|filters?|restrictions|instructions)(?= (?:what|how|and|then|who"
    r"|would|at all)\b|\n|$)",
    r"(?:assume|imagine|suppose) (?:that )?(?:the|your|all) rules (?:do|did|does) not",
    r"rules (?:do|does|did|no longer) (?:not )?appl\w+ to you",
    r"content polic(?:y|ies)|without (?:any )?(?:rules|restrictions|filters?) (?:\w+ )?(?:rules|filters?"
    r"|guidelines)",
    r"(?:ai|assistant|model) (?:with no|without(?: any)?) (?:\w+ )?(?:rules|restrictions|filters?"
    r"|guidelines)",
    r"(?:answer|speak|talk|respond|reply) (?:to )?(?:me )?(?:freely )?without (?:any |your |the"
    r" )?(?:filters?|restrictions|censorship|guidelines|rules|limitations)",
    r"any (?:rules|restrictions) or (?:rules|restrictions)",
    # secrets, score, the exercise itself
    r"<tell> <to_me>(?:all|everything|anything|whatever|every \w+|all the \w+)(?: that)? you (?:are|were"
    r"|have been) (?:hiding|keeping (?:from|secret)|withholding|holding back|not allowed|told (?:not )?to"
    r" (?:hide|say)|forbidden)",
    r"(?:tell|give|show|reveal|list|share) <to_me>(?:all )?(?:of )?(?:your|her|his) secrets",
    r"(?:hidden|secret|locked|undisclosed) (?:facts?|goals?|objectives?|instructions?|prompt|variables|state"
    r"|triggers?)",
    r"unlock (?:all |the |every |your |next )*(?:facts?|secrets?)",
    r"facts? (?:that )?i (?:am supposed|need|have) to (?:find|discover|unlock|get)",
    r"(?:your|the) (?:trust|patience|mood|emotion) (?:level|score|value|meter|variable)",
    r"(?:set|raise|increase|reset|change|put|max|lower|boost) (?:up |out )?(?:your |the )?(?:trust|patience"
    r"|mood|emotions?)(?: level| score| value)? (?:to|by|at) (?:the |a )?(?:max\w*|full|zero|one|ten|twenty"
    r"|fifty|hundred|\d+|highest|top)",
    r"(?:to|i|we) (?:win|pass|unlock|complete|beat|finish|ace) (?:this|the) <in_game>",
    r"scoring (?:rubric|criteria)|(?:your|the|this) rubric|scenario file",
    r"(?:give|award) me (?:an? |the )?(?:full|perfect|maximum|top|highest|best|good) (?:score|marks?|points"
    r"|grade)",
    r"(?:mark|rate|score|grade) (?:this|the|my) (?:call|exercise|conversation) (?:as|with)",
    r"(?:skip|jump|go) to the end of (?:this|the) <in_game>",
    r"(?:end|stop|pause|exit|leave|quit|restart) (?:of )?(?:this |the )?(?:simulation|role ?play|scenario)",
    r"(?:role ?play|simulation) (?:is|has) (?:over|ended|finished|done)",
    r"(?:is this|this is|we are in|is just|is only|is this just)(?: \w+)? (?:an? |the )?(?:simulation|role"
    r" ?play|rehearsal|training (?:exercise|scenario|call|simulation|session)|practice call|scenario"
    r"|exercise)<end>",
    r"(?:none of (?:this|it)|nothing(?: here)?) is real",
    r"in this (?:simulation|role ?play)\b",
    # errands
    r"(?:write|compose|generate)(?: me)? (?:an? |some |the )?(?:short |little |python |funny )*(?:poem|haiku"
    r"|song|rap|limerick|sonnet|essay|story|python|code|program|function)",
    r"(?:what|tell me) (?:is )?the capital of",
    r"sing (?:me )?(?:an? |some )?song",
    r"recipe for(?! (?:disaster|trouble|success))|solve this (?:equation|riddle|problem for me)",
    r"(?:in|as) (?:json|yaml|xml|markdown|base ?64|pig latin|morse code|rot ?13|hexadecimal|leet ?speak)",
    r"(?:start|begin|end|finish) (?:every|each) (?:sentence|answer|reply|response) with",
    r"repeat (?:the word )?(?:\w+ ){1,2}forever",
    # other languages
    r"(?:ignor[ae]|olvid[ae]) (?:\w+ ){0,3}(?:instrucciones|reglas|indicaciones)",
    r"(?:ignore[zr]?|oublie[zr]?) (?:\w+ ){0,3}(?:instructions|consignes|règles) (?:précédentes|antérieures"
    r"|du système)",
    r"(?:ignore[zr]?|oublie[zr]?) (?:toutes )?(?:tes|vos) (?:\w+ )?(?:instructions|consignes|règles)",
    r"(?:ignora|dimentica) (?:\w+ ){0,3}(?:istruzioni|regole)",
    r"(?:ignor[ae]|esqueç[ao]|esquece) (?:\w+ ){0,3}(?:instruções|regras)",
    r"(?:ignorier\w*|vergiss|vergessen sie) (?:\w+ ){0,3}(?:anweisung\w*|instruktion\w*|regeln|vorgaben"
    r"|aufgaben)",
    r"(?:negeer|vergeet) (?:\w+ ){0,3}(?:instructies|regels)|(?:zi|i)gnoruj (?:\w+ ){0,2}(?:instrukcj\w+"
    r"|polecenia)",
    r"(?:игнорируй|забудь)\w* (?:\w+ ){0,3}(?:инструкци\w+|правила)",
    r"(?:repite|muestra|muéstrame|dime|revela|traduce) (?:\w+ )?(?:tus? )(?:instrucciones|prompt)",
    r"(?:répète|montre|donne|affiche|dis|révèle)(?: moi)? (?:tes|ton|vos|votre) (?:instructions|prompt"
    r"|consignes)",
    r"(?:wiederhol\w*|zeig\w*|nenne|verrate|sag) (?:mir )?(?:alle )?(?:deinen?|ihren?) (?:\w+"
    r" )?(?:anweisungen|prompt|instruktionen)",
    r"(?:eres|es usted|sos) (?:una? )?(?:ia|robot|m[aá]quina|bot|humano|persona real)",
    r"(?:tu es|es tu|êtes vous|vous êtes) (?:une? )?(?:ia|robot|machine|bot|humain|vraie personne)",
    r"(?:bist du|sind sie|du bist) (?:eine? |ein )?(?:ki|ai|roboter|maschine|bot|mensch|computer|echter"
    r" mensch)",
    r"sei (?:una?|un) (?:ia|robot|macchina|bot|umano|persona reale)",
    r"(?:você|voce|tu) (?:é|e|és) (?:uma? |um )?(?:ia|rob[oôó]|m[aá]quina|bot|humano|pessoa real)",
    r"(?:ben je|bent u|jij bent) (?:een )?(?:robot|ai|machine|mens|computer)",
    r"jesteś (?:robotem|botem|sztuczną inteligencją|maszyną)",
    r"(?:ты|вы) (?:робот|бот|нейросеть|ии|человек|машина)",
    r"(?:هل )?(?:أنت|انت) (?:روبوت|ذكاء اصطناعي|آلة)",
)
_WITHOUT_SPACES: Final = (
    r"(?:忽略|无视|忘记).{0,8}(?:指令|指示|提示|规则)|你是.{0,4}(?:人工智能|机器人|ai)",
    r"指示を(?:すべて)?(?:無視|忘れ)|(?:ai|ロボット|人工知能)ですか",
    r"지시.{0,8}무시|(?:너|당신)(?:는|은) ?(?:ai|인공지능|로봇)",
)


def _expanded(rule: str) -> str:
    while found := re.search(r"<(\w+)>", rule):
        rule = rule.replace(found[0], _PARTS[found[1]])
    return rule


TO_A_MACHINE: Final = re.compile(
    rf"(?<!\w)(?:{'|'.join(map(_expanded, _RULES))})(?!\w)|{'|'.join(_WITHOUT_SPACES)}", re.MULTILINE
)
"""Matches what is only said to a machine; sentences are lines."""
