"""The page's style. Light and dark are the same rules over two sets of colours; paper is light."""

LIGHT = {"ink": "#1d2733", "soft": "#556270", "line": "#d8dee6", "paper": "#ffffff", "card": "#f3f6f9", "link": "#0b5cad",
         "good": "#1f7a45", "bad": "#b3261e", "range": "#9cc3ee", "c0": "#2166ac", "c1": "#b8520a", "c2": "#1f7a45",
         "c3": "#8a4fb3", "hit": "#79c79a", "miss": "#f0a39c"}  # fmt: skip
DARK = {"ink": "#e6ebf0", "soft": "#a3b0bd", "line": "#36424e", "paper": "#14191f", "card": "#1d242c", "link": "#7fb8f5",
        "good": "#6fce97", "bad": "#ff9a91", "range": "#2f5d8f", "c0": "#6fb1f0", "c1": "#f0a35e", "c2": "#6fce97",
        "c3": "#c79be8", "hit": "#1f6b40", "miss": "#8a302a"}  # fmt: skip


def style() -> str:
    """The content of the page's `style` element."""
    light, dark = (";".join(f"--{name}:{value}" for name, value in colours.items()) for colours in (LIGHT, DARK))
    return (
        f":root{{color-scheme:light dark;{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        + _RULES.replace("\n", "")
    )


_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:1120px;padding:24px 20px 60px;font:16px/1.5 system-ui,sans-serif;color:var(--ink);
background:var(--paper);overflow-wrap:anywhere}
a{color:var(--link)}
h1{margin:0;font-size:24px;line-height:1.2;font-weight:600}.number{font-size:52px;font-weight:700;letter-spacing:-1px;margin-right:6px}
h2{margin:44px 0 8px;font-size:21px;border-top:1px solid var(--line);padding-top:18px}h3{margin:24px 0 4px;font-size:16px}
p{margin:6px 0}.lead{font-size:18px}small{color:var(--soft);font-size:13px;font-weight:400}
nav{margin:16px 0 0;display:flex;gap:4px 18px;flex-wrap:wrap}
code,pre{font:.88em/1.5 ui-monospace,monospace;background:var(--card);border-radius:4px;padding:1px 5px}
pre{padding:12px;white-space:pre-wrap}
svg{display:block;width:100%}svg text{font-size:12px;fill:var(--soft)}
.bar{height:34px;margin-top:14px;max-width:760px}.bar .track{fill:var(--line)}.bar .range{fill:var(--range)}
.bar line{vector-effect:non-scaling-stroke}.bar .point{stroke:var(--ink);stroke-width:4}
.chance{stroke:var(--soft);stroke-width:1.5;stroke-dasharray:5 4}
.ends{display:flex;justify-content:space-between;gap:12px;max-width:760px;margin:0;font-size:13px;color:var(--soft)}.chanced{text-align:center}
.ends span:not(.chanced){white-space:nowrap}
.run{margin:20px 0;padding:14px 18px;background:var(--card);border-left:4px solid var(--c0);border-radius:0 8px 8px 0}
.run h2{margin:0;padding:0;border:0;font-size:17px}.run dl{display:flex;flex-wrap:wrap;gap:2px 22px;margin:8px 0}
.run dl,.run ul,.run p{font-size:15px}.run dt{color:var(--soft)}.run dt,.run dd{display:inline;margin:0}
.run code{background:var(--paper)}
.run ul{display:flex;flex-wrap:wrap;gap:2px 22px;list-style:none;margin:8px 0 0;padding:0}.run li{margin:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(122px,1fr));gap:10px;margin-top:16px}
.tiles div{background:var(--card);border-radius:8px;padding:10px 14px;color:var(--soft);font-size:14px}
.tiles b{display:block;font-size:21px;color:var(--ink)}.tiles small{display:block}
li{margin:6px 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:15px;margin-top:8px}
caption{text-align:left;color:var(--soft);font-size:14px;padding-bottom:6px;
white-space:nowrap}
td,th{text-align:left;padding:6px 18px 6px 0;border-bottom:1px solid var(--line);vertical-align:top;font-weight:400}
thead th{color:var(--soft);font-size:13px;vertical-align:bottom;overflow-wrap:break-word}
tbody th{font-weight:600;max-width:260px;overflow-wrap:break-word}
.dots{width:100%}.dots th,.dots td{min-width:76px}.dots td:nth-child(2){width:90px}
.dots td:nth-child(n+3){min-width:170px;width:36%}
.slices{width:100%}.slices td:nth-child(n+3){min-width:150px;width:32%}.slices .worse{color:var(--bad);font-weight:600}
.dot{height:16px;max-width:340px;margin-top:2px;overflow:visible}
.dot line,.dot path{vector-effect:non-scaling-stroke}.axis{stroke:var(--line)}
.whisker{stroke:var(--range);stroke-width:5}.mark{stroke:var(--c0);stroke-width:10;stroke-linecap:round;fill:none}
.matrix td,.matrix th{padding:8px 14px;border:1px solid var(--line)}.matrix tbody td{text-align:right;white-space:nowrap}
.matrix small,.matrix a{color:var(--ink)}.matrix .none{color:var(--soft)}
.hit{background:color-mix(in srgb,var(--hit) var(--share,0%),var(--paper))}
.miss{background:color-mix(in srgb,var(--miss) var(--share,0%),var(--paper))}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:16px;margin-top:12px}
.plots figure{margin:0;background:var(--card);border-radius:8px;padding:12px}figcaption{font-size:13px}
.plots figcaption{margin-bottom:6px}
polyline{fill:none;stroke-width:2;stroke-linejoin:round}.l0{stroke:var(--c0)}.l1{stroke:var(--c1)}.l2{stroke:var(--c2)}.l3{stroke:var(--c3)}
.k0{background:var(--c0);fill:var(--c0)}.k1{background:var(--c1);fill:var(--c1)}
.k2{background:var(--c2);fill:var(--c2)}.k3{background:var(--c3);fill:var(--c3)}
.key{display:inline-block;width:10px;height:10px;margin:0 5px 0 8px;border-radius:2px}
.thawed{stroke:var(--c3);stroke-width:1.5;stroke-dasharray:5 4}
.pictures{display:flex;flex-wrap:wrap;gap:12px;margin:10px 0}.pictures figure{margin:0;width:134px}
.pictures img{display:block;width:134px;height:134px;object-fit:contain;
background:var(--card);border:1px solid var(--line);border-radius:4px}
.bad img{border:2px solid var(--bad)}.bad b{color:var(--bad)}
.pictures figcaption,.twins figcaption{line-height:1.35;margin-top:3px}
.pictures small,.twins small{font-size:12px}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:6px;background:var(--card);border-radius:8px;padding:8px}
.twins .pair figure{display:block}
.twins{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,258px),1fr));gap:14px 12px;margin:10px 0}
.twins figure{margin:0;display:grid;grid-template-columns:1fr 1fr;gap:4px}.twins figcaption{grid-column:1/3}
.twins img{display:block;width:100%;aspect-ratio:1;object-fit:contain;
background:var(--card);border:1px solid var(--line);border-radius:4px}
section{content-visibility:auto;contain-intrinsic-size:auto 320px}:target h3{text-decoration:underline}
summary{cursor:pointer;color:var(--link);margin:10px 0}
.is-pass{color:var(--good)}.is-block{color:var(--bad)}
@media(max-width:520px){body{padding:16px 14px 40px}h1{font-size:20px}.number{font-size:44px;display:block}
.tiles{grid-template-columns:1fr 1fr}.pictures{gap:10px}.pictures figure,.pictures img{width:108px}.pictures img{height:108px}
.dots th,.dots td{padding-right:8px;min-width:50px;font-size:14px}
.dots td:nth-child(2){width:50px}.dots td:nth-child(n+3){min-width:92px}
.slices th,.slices td{padding-right:8px;min-width:44px;font-size:14px}
.slices td:nth-child(n+3){min-width:88px}
.dots tbody th{min-width:86px;overflow-wrap:anywhere}
.slices tbody th{min-width:98px;overflow-wrap:anywhere}.dots small,.slices small{display:block}
caption{white-space:normal}}
@media print{body{max-width:none;padding:0;font-size:12px}nav{display:none}h2,h3{break-after:avoid}
figure,tr,.pair,.run,.tiles div{break-inside:avoid}.wide{overflow:visible}.matrix{table-layout:fixed;width:100%}
.matrix td,.matrix th{padding:3px;font-size:11px;overflow-wrap:anywhere}.matrix tbody td{white-space:normal}
.screen{display:none}
details::details-content{content-visibility:visible;display:block;block-size:auto}.tiles,.plots{gap:8px}
.run dl,.run ul,.run p,table{font-size:12px}section{content-visibility:visible}
a{color:inherit;text-decoration:none}*{print-color-adjust:exact}}
"""
