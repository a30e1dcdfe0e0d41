"""The About tab: what this is, and how to read it."""

from __future__ import annotations

from app.ui.notice import framed
from app.ui.wording import escape
from dait.config.arms import SUMMARIES, arm_title

ABOUT_ID = "about"
ABOUT = """
<div class="ds-prose">
<h2>What this is</h2>
<p>A large vision-language model knows a great deal about images, and far too much to hand to a
small classifier in one go. DAIT puts an <b>intermediate teacher</b> between them: a small network
that first learns the task from the large model, and then teaches the student. This page trains the
student in several ways, called arms, under one recipe and shows them side by side:</p>
<ul>
ARMS
</ul>
<p>Every student has the labels besides its teacher. Independent, direct and DAIT are the paper's
own comparison, and what is trained unless you choose others.</p>
<h2>The demo teacher is a demo teacher</h2>
<p>The studies that come along use <code>fieldguide-clip</code>, a small vision-language model
trained on drawn birds so that everything works without a download. It shows how the method runs.
It says nothing about how well a large pretrained model would teach. The Field Guide's images are
drawn too: 40 species in eight families, told apart by small parts. In training most images of
a species show its own habitat, in the test images the habitat says nothing.</p>
<h2>How to read the figures</h2>
<ul>
<li><b>Top-1</b> is the share of test images whose class is right. Nothing is chosen on the test
images: students are measured on them once, when they are trained. The small range under it is a
95 % interval over the images, or the standard deviation over seeds.</li>
<li><b>Gain</b> is the difference to direct distillation in percentage points. <b>p (McNemar)</b>
asks whether both networks could be equally good on these images; above 0.05 the gain may be
chance.</li>
<li><b>Familiar and unfamiliar backgrounds</b>: test images in front of a species' usual habitat and
of another one. A network that learned the background falls behind on the unfamiliar ones.</li>
<li><b>Heatmaps</b> show which places speak for a class. Each is scaled to its own maximum, so two
maps are compared by place and never by strength. A map may be empty; then the card says
so.</li>
<li><b>t-SNE</b> keeps neighbours together. Distances between far groups, and directions, mean
nothing.</li>
<li><b>Similarity</b> matrices share one scale: bright blocks off the diagonal are classes that a
network finds alike.</li>
<li><b>Parameters, MACs, latency, file</b> are the cost of the network at one image, on the machine
that trained it; of several seeds the least latency, which other work disturbed least.</li>
</ul>
<p>One seed is a hint. Train several before you believe a difference.</p>
<h2>From a program</h2>
<p>Six named endpoints do what this page does: <code>/predict</code>, <code>/explain</code>,
<code>/compare</code>, <code>/start</code>, <code>/status</code> and <code>/stop</code>. Ask them
with <code>gradio_client</code>; <code>Client(address).view_api()</code> says what each takes and
answers. On a public Space they keep to its limits.</p>
</div>
"""


def build_about_tab() -> None:
    """Lay the tab out inside the current ``gr.Tab``."""
    arms = (
        f"<li><b>{escape(arm_title(arm))}</b>: {escape(text)}.</li>"
        for arm, text in SUMMARIES.items()
    )
    framed(ABOUT.replace("ARMS", "\n".join(arms)), ABOUT_ID)
