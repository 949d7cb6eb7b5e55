#include "apps/server/page.h"

namespace trainyard::apps {
namespace {

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--page:#f4f6f8;--card:#fff;--ink:#18212f;--soft:#556075;--line:#dce1e8;--head:#f8f9fb;--link:#0b57c4;
--mark:#0d6e66;--on-mark:#fff;--good:#0b5d38;--good-bg:#d8f1e2;--live:#0a489c;--live-bg:#dceafd;--wait:#6b4800;--wait-bg:#fbebc8;
--bad:#98191b;--bad-bg:#fde1df;--off:#475166;--off-bg:#e6e9ef;--code:#eceff3;--shade:0 1px 2px rgb(20 30 50/.06)}
@media (prefers-color-scheme:dark){:root{--page:#0f141b;--card:#171e28;--ink:#e5eaf1;--soft:#9daabd;--line:#2a3442;--head:#1b2330;
--link:#86b7ff;--mark:#5fd0c3;--on-mark:#06231f;--good:#83e0ab;--good-bg:#123524;--live:#99c4ff;--live-bg:#152f52;--wait:#f2c96b;
--wait-bg:#3a2d0c;--bad:#ffaaa5;--bad-bg:#45191b;--off:#b4bfce;--off-bg:#283140;--code:#242e3b;--shade:none}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
header,main{max-width:68rem;margin:0 auto;padding:0 1.25rem}
header{display:flex;align-items:center;gap:.75rem;padding-top:1.1rem;padding-bottom:.9rem}
.brand{display:flex;align-items:center;gap:.6rem;color:var(--ink);text-decoration:none;font-size:1.15rem;font-weight:650;
letter-spacing:-.01em}
.brand svg{width:1.75rem;height:1.75rem;color:var(--mark)}
header form{margin-left:auto}
h1{font-size:1.55rem;line-height:1.25;margin:.6rem 0 .3rem;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:1.05rem;line-height:1.3;margin:0;letter-spacing:-.005em}
p{margin:.35rem 0}
h1+p{margin-bottom:1.1rem}
a{color:var(--link);text-underline-offset:.15em}
a:focus-visible,button:focus-visible,input:focus-visible,.scroll:focus-visible{outline:3px solid var(--mark);outline-offset:2px}
.soft{color:var(--soft)}
.small{font-size:.87rem}
code,kbd,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.88em}
code{background:var(--code);border-radius:.3rem;padding:.12em .4em;overflow-wrap:anywhere}
button{font:inherit;font-weight:550;color:var(--ink);background:var(--card);border:1px solid var(--line);border-radius:.5rem;
padding:.35rem .8rem;cursor:pointer}
button:hover{border-color:var(--soft)}
button.main{color:var(--on-mark);background:var(--mark);border-color:var(--mark);padding:.5rem 1.1rem}
.note{border-radius:.6rem;padding:.65rem .9rem;margin:1rem 0;background:var(--live-bg);color:var(--live)}
.note.bad{background:var(--bad-bg);color:var(--bad)}
.note.wait{background:var(--wait-bg);color:var(--wait)}
.note a{color:inherit}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:.75rem;margin:0 0 1rem;padding:0;list-style:none}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:.75rem;box-shadow:var(--shade);padding:.7rem .95rem}
.tiles b{display:block;font-size:1.7rem;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums}
.tiles .none b{color:var(--soft);font-weight:450}
.cards{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:1rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;box-shadow:var(--shade);margin:0 0 1rem;overflow:hidden;
min-width:0}
.card>h2{padding:.8rem 1rem .1rem}
.card>p,.card>ul{margin:.2rem 0;padding:0 1rem .75rem}
.card>ul{list-style:none}
.card li{padding:.15rem 0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
caption{text-align:left;color:var(--soft);font-size:.87rem;padding:0 1rem .55rem}
th,td{text-align:left;vertical-align:top;padding:.5rem .6rem;border-top:1px solid var(--line)}
th:first-child,td:first-child{padding-left:1rem}
th:last-child,td:last-child{padding-right:1rem}
thead th{background:var(--head);color:var(--soft);font-size:.82rem;font-weight:600;padding-top:.35rem;padding-bottom:.35rem;
white-space:nowrap}
tbody th{font-weight:600}
td,tbody th{overflow-wrap:anywhere}
.num,.when{white-space:nowrap;font-variant-numeric:tabular-nums}
.kind{display:block;color:var(--soft);font-size:.87rem;font-weight:400}
.state{display:inline-block;border-radius:.4rem;padding:.05rem .5rem;font-size:.8rem;font-weight:600;line-height:1.5;white-space:nowrap;
letter-spacing:.01em;background:var(--off-bg);color:var(--off)}
.good{background:var(--good-bg);color:var(--good)}
.live{background:var(--live-bg);color:var(--live)}
.wait{background:var(--wait-bg);color:var(--wait)}
.bad{background:var(--bad-bg);color:var(--bad)}
.facts{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.35rem 1.25rem;margin:0;padding:.6rem 1rem .9rem}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
progress{width:8rem;max-width:100%;height:.55rem;vertical-align:middle;accent-color:var(--mark);margin-right:.5rem}
pre{margin:0;padding:.8rem 1rem;overflow-x:auto;background:var(--code)}
.sign-in{max-width:30rem;margin:7vh auto 2rem}
.sign-in .card{padding:1.4rem 1.5rem 1.5rem}
.sign-in h1{margin-top:0}
.sign-in .card>p{padding:0;margin:.8rem 0 0}
.sign-in .card>.note{padding:.65rem .9rem}
.sign-in label{display:block;font-weight:600;margin:1rem 0 .3rem}
.sign-in input{width:100%;font:inherit;color:var(--ink);background:var(--page);border:1px solid var(--soft);border-radius:.5rem;
padding:.5rem .7rem;margin-bottom:1rem}
footer{color:var(--soft);font-size:.87rem;padding:.25rem 0 2.5rem}
@media (max-width:46rem){.cards{grid-template-columns:1fr;gap:0}.tiles{grid-template-columns:repeat(2,1fr);gap:.6rem}.wide{display:none}
header,main{padding-left:.9rem;padding-right:.9rem}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:.5rem}
th,td{padding-left:.45rem;padding-right:.45rem}
.stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.stack tr{display:grid;grid-template-columns:2.6rem minmax(0,1fr) auto;border-top:1px solid var(--line);padding:.45rem 0}
.stack th,.stack td{border:0;padding-top:.1rem;padding-bottom:.1rem}
.stack td:nth-child(4){grid-column:2/-1;color:var(--soft)}}
)css";

}  // namespace

std::string_view page_style() { return kStyle; }

}  // namespace trainyard::apps
