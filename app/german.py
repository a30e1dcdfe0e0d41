"""The page's fixed texts in German. Numbers stand as ``#``, and keep their places."""

from __future__ import annotations

GERMAN = {
    # Above the tabs, and what several tabs say.
    "Distil a vision-language model into a small classifier, and see where each network looks.": (
        "Aus einem Bild-Sprach-Modell ein kleines Netz machen, und sehen, wohin jedes schaut."
    ),
    "Compare": "Vergleichen",
    "Predict": "Erkennen",
    "Explore": "Erkunden",
    "Data": "Daten",
    "Train": "Trainieren",
    "About": "Über",
    "Study": "Studie",
    "Seed": "Startwert",
    "Class": "Klasse",
    "Network": "Netz",
    "Download": "Herunterladen",
    "File": "Datei",
    "As in the recipe": "Wie im Rezept",
    "What suits each network": "Was zu jedem Netz passt",
    "The pipeline": "Der Ablauf",
    # Compare
    "Accuracy and cost": "Genauigkeit und Kosten",
    "Every student was trained on the same images, with the same seeds and schedule. DAIT trains "
    "its intermediate teacher besides.": (
        "Alle Schüler lernten an denselben Bildern, mit denselben Startwerten, gleich lang. DAIT "
        "trainiert außerdem seinen Zwischenlehrer."
    ),
    "One moment: loading the networks.": "Einen Moment: die Netze werden geladen.",
    "Where each network looks": "Wohin jedes Netz schaut",
    "One image under every network. Pick a test image here or in any figure below, or upload a "
    "photograph: it is cut as the test images are.": (
        "Ein Bild unter allen Netzen. Wählen Sie ein Testbild, hier oder in einer Abbildung weiter "
        "unten, oder laden Sie ein Foto hoch: Es wird wie die Testbilder zugeschnitten."
    ),
    "Find images": "Bilder finden",
    "All of these right": "Alle diese richtig",
    "All of these wrong": "Alle diese falsch",
    "True class": "Wahre Klasse",
    "Any class": "Jede Klasse",
    "Part of the split": "Teil der Menge",
    "The whole split": "Die ganze Menge",
    "Your photograph (at most # MB)": "Ihr Foto (höchstens # MB)",
    "Method": "Verfahren",
    "By default Grad-CAM, and LayerCAM for a vision transformer": (
        "Sonst Grad-CAM, und LayerCAM für einen Vision Transformer"
    ),
    "Heatmap for": "Wärmebild für",
    "What each predicts": "Was jedes erkennt",
    "Opacity": "Deckkraft",
    "Layer and sentence": "Schicht und Satz",
    "Layer": "Schicht",
    "Choose, or type a layer's name": "Wählen, oder den Namen einer Schicht schreiben",
    "A sentence for the vision-language model": "Ein Satz für das Bild-Sprach-Modell",
    "Its column then shows where it finds this. Press Enter": (
        "Seine Spalte zeigt dann, wo es das findet. Mit der Eingabetaste"
    ),
    "Keep the rows before": "Frühere Zeilen behalten",
    "Copy link to this view": "Link zu dieser Ansicht kopieren",
    "Where they differ": "Worin sie sich unterscheiden",
    "Class by class, and how sure each network is. Press a cell or a bar to see an image behind it "
    "under every network.": (
        "Klasse für Klasse, und wie sicher jedes Netz ist. Drücken Sie auf eine Zelle oder einen "
        "Balken, um ein Bild dahinter unter allen Netzen zu sehen."
    ),
    "What is taken for what": "Was wofür gehalten wird",
    "Most confused by": "Am meisten verwechselt von",
    "Gains class by class": "Gewinn Klasse für Klasse",
    "Compared with": "Verglichen mit",
    "How sure they are": "Wie sicher sie sind",
    "How the classes lie": "Wie die Klassen liegen",
    "The same test images through every network: t-SNE of the features, then the similarity of the "
    "classes' mean features on one scale. Press a point or a cell to see its image under every "
    "network.": (
        "Dieselben Testbilder durch alle Netze: t-SNE der Merkmale, dann die Ähnlichkeit der "
        "mittleren Merkmale der Klassen auf einer Skala. Drücken Sie auf einen Punkt oder eine "
        "Zelle, um das Bild unter allen Netzen zu sehen."
    ),
    "Save a figure": "Eine Abbildung speichern",
    "Figure": "Abbildung",
    "As": "Als",
    "Accuracy": "Genauigkeit",
    "Accuracy by part of the split": "Genauigkeit nach Teilen der Menge",
    "Class similarity": "Ähnlichkeit der Klassen",
    "Confusion matrices": "Verwechslungen",
    "Reliability": "Verlässlichkeit",
    "HTML page": "HTML-Seite",
    "CSV table": "CSV-Tabelle",
    "PNG picture": "PNG-Bild",
    # Predict
    "Every network of a study looks at your photographs, at most # of # MB at once. Each is cut as "
    "the test images are, and deleted within two hours.": (
        "Alle Netze einer Studie sehen Ihre Fotos an, höchstens # von # MB auf einmal. Jedes wird "
        "wie die Testbilder zugeschnitten und binnen zwei Stunden gelöscht."
    ),
    "Photographs (one, or several for a table)": "Fotos (eines, oder mehrere für eine Tabelle)",
    "From the clipboard or the camera": "Aus der Zwischenablage oder der Kamera",
    "Give one photograph to see what every network takes it for and where it looks, or several for "
    "a table.": (
        "Geben Sie ein Foto, um zu sehen, wofür jedes Netz es hält und wohin es schaut, oder "
        "mehrere für eine Tabelle."
    ),
    # Explore
    "Ask the frozen teacher": "Den festen Lehrer fragen",
    "It compares your sentence with every test image. No label and no training is in between.": (
        "Er vergleicht Ihren Satz mit jedem Testbild. Dazwischen liegen weder Etiketten noch "
        "Training."
    ),
    "What do you want to see?": "Was möchten Sie sehen?",
    "Search": "Suchen",
    "One moment: loading the teacher.": "Einen Moment: der Lehrer wird geladen.",
    "What it knows without training": "Was er ohne Training weiß",
    "Who taught whom, by which losses and how strongly they weighed, with the shapes and "
    "parameters of every network.": (
        "Wer wen lehrte, mit welchen Verlusten und Gewichten, und wie groß jedes Netz ist."
    ),
    "Attributes, named by words alone": "Merkmale, allein durch Wörter benannt",
    "The orange tick is chance. Among the species, attributes go together; among new birds each is "
    "drawn by itself.": (
        "Der orange Strich ist der Zufall. Bei den Arten gehören Merkmale zusammen; bei neuen "
        "Vögeln ist jedes für sich gezogen."
    ),
    "The same as a table": "Dasselbe als Tabelle",
    "What can be read from each network": "Was sich aus jedem Netz lesen lässt",
    "Habitat, pose and light tell no classes apart: so much of them each network carries.": (
        "Lebensraum, Haltung und Licht trennen keine Klassen: So viel davon trägt jedes Netz."
    ),
    # Data
    "What the networks learn from. Everything is read and checked before a training starts.": (
        "Woraus die Netze lernen. Alles wird gelesen und geprüft, bevor ein Training beginnt."
    ),
    "Data set": "Datensatz",
    "Image size": "Bildgröße",
    "Or a path on this machine": "Oder ein Pfad auf diesem Rechner",
    "A folder, a .zip or .tar, a .csv of path,label; or hf:owner/name": (
        "Ein Ordner, ein .zip oder .tar, eine .csv mit path,label; oder hf:owner/name"
    ),
    "Your photographs as one archive (at most # GiB)": (
        "Ihre Fotos als ein Archiv (höchstens # GiB)"
    ),
    "A .zip or .tar of": "Ein .zip oder .tar aus",
    ", or of": ", oder aus",
    "and": "und",
    ". It is kept beside your studies until you delete it.": (
        ". Es bleibt neben Ihren Studien liegen, bis Sie es löschen."
    ),
    "# drawn species of birds in # families, told apart by small parts, before six habitats; drawn "
    "on your machine, with masks of every part. No download.": (
        "# gezeichnete Vogelarten in # Familien, an kleinen Teilen zu unterscheiden, vor sechs "
        "Lebensräumen; auf Ihrem Rechner gezeichnet, mit Masken aller Teile. Ohne Herunterladen."
    ),
    "# classes · on this machine · Licence: Apache-#.# (drawn by this project)": (
        "# Klassen · auf diesem Rechner · Lizenz: Apache-#.# (von diesem Projekt gezeichnet)"
    ),
    "Read the images": "Bilder lesen",
    "Use in training": "Zum Training nehmen",
    "Delete upload": "Archiv löschen",
    "Delete it for everybody": "Für alle löschen",
    "Keep it": "Behalten",
    "What is in it": "Was darin ist",
    "Sample images": "Beispielbilder",
    "Split": "Teilmenge",
    "Training": "Training",
    "Validation": "Validierung",
    "Test": "Test",
    "All classes": "Alle Klassen",
    "More images": "Weitere Bilder",
    "Prompts of the frozen teacher": "Was dem festen Lehrer gesagt wird",
    "What a vision-language model is told about each class. The figure is measured on the "
    "validation images as you write.": (
        "Was ein Bild-Sprach-Modell über jede Klasse erfährt. Die Zahl wird beim Schreiben an den "
        "Validierungsbildern gemessen."
    ),
    "Frozen teacher": "Fester Lehrer",
    "Templates, one a line": "Vorlagen, eine je Zeile",
    "{} stands for the class's name, as in: a photo of a {}.": (
        "{} steht für den Namen der Klasse, wie in: a photo of a {}."
    ),
    "Add CLIP's # templates": "CLIPs # Vorlagen dazu",
    "Add CLIP's best #": "CLIPs beste # dazu",
    "Back to the data set's own": "Zurück zu denen des Datensatzes",
    "Descriptions, one a line": "Beschreibungen, eine je Zeile",
    "A class, a colon, and a sentence about it. As many as you like of each.": (
        "Eine Klasse, ein Doppelpunkt und ein Satz über sie. Beliebig viele je Klasse."
    ),
    "What tells two species apart": "Was zwei Arten unterscheidet",
    "Both in one pose. Species of a family differ in two or three small parts.": (
        "Beide in einer Haltung. Arten einer Familie trennen zwei oder drei kleine Teile."
    ),
    "Species": "Art",
    "Beside it": "Daneben",
    "All species": "Alle Arten",
    "Press a picture to put the species beside the one above.": (
        "Drücken Sie auf ein Bild, um die Art neben die obere zu stellen."
    ),
    # Train
    "Every student learns from the same images, for the same number of epochs; an arm with a "
    "teacher of its own trains that first.": (
        "Alle Schüler lernen an denselben Bildern, gleich viele Epochen; ein Weg mit eigenem "
        "Lehrer trainiert zuerst diesen."
    ),
    "Recipe": "Rezept",
    "Upload photographs of your own in the Data tab.": "Eigene Fotos laden Sie unter Daten hoch.",
    "Arms": "Wege",
    "Independent student: learns from the labels alone": ("Allein: lernt nur aus den Etiketten"),
    "Direct distillation: learns from the labels and from the frozen teacher itself": (
        "Direkt: lernt aus den Etiketten und vom festen Lehrer selbst"
    ),
    "VL#Lite: learns from the frozen teacher condensed to the student's width, as published": (
        "VL#Lite: lernt vom festen Lehrer, verdichtet auf die Breite des Schülers, wie "
        "veröffentlicht"
    ),
    "Logit distillation: learns from a classifier that was trained by the labels alone": (
        "Logits: lernt von einem Netz, das nur die Etiketten kannte"
    ),
    "Teacher assistant: learns from a larger assistant that learned from the frozen teacher's "
    "answers": "Assistent: lernt von einem größeren Netz, das von den Antworten des festen Lehrers "
    "lernte",
    "DAIT: learns from an intermediate teacher that first learned from the frozen one": (
        "DAIT: lernt von einem Zwischenlehrer, der zuerst vom festen Lehrer lernte"
    ),
    "Epochs": "Epochen",
    "Passes over the images": "Durchgänge durch die Bilder",
    "Seeds": "Startwerte",
    "Repetitions, # to #": "Wiederholungen, # bis #",
    "Networks and first seed": "Netze und erster Startwert",
    "Student": "Schüler",
    "Intermediate teacher": "Zwischenlehrer",
    "First seed": "Erster Startwert",
    "Building the networks once, to measure them …": (
        "Die Netze werden einmal gebaut und gemessen …"
    ),
    "Start training": "Training beginnen",
    "Estimate time, disk and memory": "Zeit, Platz und Speicher schätzen",
    "The same in a terminal": "Dasselbe im Terminal",
    "In the project's folder. It follows the form.": (
        "Im Ordner des Projekts. Es folgt dem Formular."
    ),
    "Save the recipe": "Rezept speichern",
    "Load a recipe": "Rezept laden",
    "It goes on when this page is closed.": "Es geht weiter, wenn diese Seite geschlossen wird.",
    "Nothing has been trained here yet. Choose a recipe and press Start: the state appears here, "
    "and stays true if you close this page.": (
        "Hier wurde noch nichts trainiert. Wählen Sie ein Rezept und beginnen Sie: Der Stand "
        "erscheint hier und stimmt auch, wenn Sie die Seite schließen."
    ),
    "Pause": "Anhalten",
    "Resume": "Fortsetzen",
    "Cancel": "Abbrechen",
    "See in Compare": "Im Vergleich ansehen",
    "Retry": "Von vorn",
    "Start again from this": "Davon ausgehen",
    "Rename": "Umbenennen",
    "Delete": "Löschen",
    "New name": "Neuer Name",
    "Save": "Speichern",
    "Keep the old": "Den alten behalten",
    "Curves": "Kurven",
    "Accuracy and loss": "Genauigkeit und Verlust",
    "Parts of the losses": "Teile der Verluste",
    "Speed": "Geschwindigkeit",
    "Over the curves of": "Über den Kurven von",
    "Log": "Protokoll",
    "Runs": "Trainings",
    "What trains, what waits for it, and every study before. Retry trains the same from the "
    "beginning; Resume goes on where it was.": (
        "Was trainiert, was darauf wartet, und alle früheren Studien. „Von vorn“ trainiert "
        "dasselbe noch einmal; „Fortsetzen“ geht weiter, wo es war."
    ),
    "Studies that you train appear here.": "Hier erscheinen die Studien, die Sie trainieren.",
    "Show older ones": "Ältere zeigen",
}

SAME = frozenset(
    {"DAIT Studio", "DAIT", "Field Guide", "Grad-CAM", "HiResCAM", "LayerCAM", "SVG", "t-SNE", ","}
)
"""What is called the same in German."""

ABOUT = """
<div class="ds-prose">
<h2>Was das ist</h2>
<p>Ein großes Bild-Sprach-Modell weiß sehr viel über Bilder, und viel zu viel, um es einem kleinen
Netz auf einmal zu geben. DAIT stellt einen <b>Zwischenlehrer</b> dazwischen: ein kleines Netz, das
zuerst vom großen Modell die Aufgabe lernt und dann den Schüler lehrt. Diese Seite trainiert den
Schüler auf mehreren Wegen nach einem Rezept und zeigt sie nebeneinander.</p>
<p>Jeder Schüler hat neben seinem Lehrer die Etiketten. „Allein“, „Direkt“ und „DAIT“ sind der
Vergleich der Veröffentlichung, und was trainiert wird, wenn Sie nichts anderes wählen.</p>
<h2>Der Demo-Lehrer ist ein Demo-Lehrer</h2>
<p>Die mitgelieferten Studien nutzen <code>fieldguide-clip</code>, ein kleines Bild-Sprach-Modell,
das an gezeichneten Vögeln gelernt hat, damit alles ohne Herunterladen geht. Es zeigt, wie das
Verfahren läuft. Wie gut ein großes vortrainiertes Modell lehren würde, sagt es nicht. Auch die
Bilder des Field Guide sind gezeichnet: 40 Arten in acht Familien, an kleinen Teilen zu
unterscheiden. Im Training zeigen die meisten Bilder einer Art ihren eigenen Lebensraum, in den
Testbildern sagt der Lebensraum nichts.</p>
<h2>Wie die Zahlen zu lesen sind</h2>
<ul>
<li><b>Top-1</b> ist der Anteil der Testbilder, deren Klasse stimmt. An den Testbildern wird nichts
gewählt: Schüler werden einmal an ihnen gemessen, nach dem Training. Der kleine Bereich darunter ist
ein 95-%-Intervall über die Bilder, oder die Standardabweichung über Startwerte.</li>
<li><b>Gewinn</b> ist der Abstand zur direkten Destillation in Prozentpunkten. <b>p (McNemar)</b>
fragt, ob beide Netze an diesen Bildern gleich gut sein könnten; über 0,05 mag der Gewinn Zufall
sein.</li>
<li><b>Gewohnter und ungewohnter Hintergrund</b>: Testbilder vor dem üblichen Lebensraum einer Art
und vor einem anderen. Wer den Hintergrund gelernt hat, fällt beim ungewohnten zurück.</li>
<li><b>Wärmebilder</b> zeigen, welche Stellen für eine Klasse sprechen. Jedes reicht bis zu seinem
eigenen Höchstwert, darum vergleicht man den Ort und nie die Stärke. Ein Bild kann leer sein; dann
steht es dabei.</li>
<li><b>t-SNE</b> hält Nachbarn beisammen. Abstände zwischen fernen Gruppen und Richtungen bedeuten
nichts.</li>
<li><b>Ähnlichkeiten</b> haben eine gemeinsame Skala: Helle Blöcke neben der Diagonale sind Klassen,
die ein Netz ähnlich findet.</li>
<li><b>Parameter, MACs, Dauer, Datei</b> sind die Kosten des Netzes bei einem Bild, auf dem Rechner,
der es trainiert hat.</li>
</ul>
<p>Ein Startwert ist ein Hinweis. Nehmen Sie mehrere, bevor Sie an einen Unterschied glauben.</p>
<h2>Aus einem Programm</h2>
<p>Sechs benannte Endpunkte tun, was diese Seite tut: <code>/predict</code>, <code>/explain</code>,
<code>/compare</code>, <code>/start</code>, <code>/status</code> und <code>/stop</code>. Fragen Sie
sie mit <code>gradio_client</code>; <code>Client(address).view_api()</code> sagt, was jeder nimmt
und antwortet. Auf einem öffentlichen Space gelten dessen Grenzen.</p>
</div>
"""
