"""How the page looks: one calm theme, light and dark, with the fonts that the machine has."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, sizes

from dait.evidence.palette import ARM_COLOURS

_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


_SURFACES = {
    "body_background_fill": "#f7f8fa",
    "body_background_fill_dark": "#12161c",
    "background_fill_primary_dark": "#1a1f27",
    "background_fill_secondary_dark": "#161b22",
    "block_background_fill": "#ffffff",
    "block_background_fill_dark": "#1a1f27",
    "block_border_width": "1px",
    "block_border_color": "#e3e7ed",
    "block_border_color_dark": "#2b323d",
    "border_color_primary": "#dfe3ea",
    "border_color_primary_dark": "#333b47",
    "block_shadow": "none",
    "block_label_background_fill": "transparent",
    "block_label_background_fill_dark": "transparent",
    "block_label_border_width": "0px",
    "block_title_text_weight": "600",
    "block_label_text_weight": "600",
    "block_label_text_color": "#4a5361",
    "block_label_text_color_dark": "#b3bcc9",
    "body_text_color": "#1d232c",
    "body_text_color_dark": "#e6e9ef",
    "body_text_color_subdued": "#596273",
    "body_text_color_subdued_dark": "#a0a9b8",
    "color_accent": "#0f766e",
}
_CONTROLS = {
    "input_background_fill": "#ffffff",
    "input_background_fill_dark": "#12161c",
    "input_border_width": "1px",
    "input_border_color": "#cfd5de",
    "input_border_color_dark": "#3a4350",
    "slider_color": "#0f766e",
    "slider_color_dark": "#14b8a6",
    "checkbox_background_color_selected": "#0f766e",
    "checkbox_background_color_selected_dark": "#0f766e",
    "checkbox_border_color_selected": "#0f766e",
    "checkbox_border_color_selected_dark": "#0f766e",
    "checkbox_label_background_fill": "#f1f4f7",
    "checkbox_label_background_fill_dark": "#12161c",
    "checkbox_label_background_fill_selected": "#e3f2ef",
    "checkbox_label_background_fill_selected_dark": "#17352f",
    "button_primary_background_fill": "#0f766e",
    "button_primary_background_fill_hover": "#115e59",
    "button_primary_background_fill_dark": "#0f766e",
    "button_primary_background_fill_hover_dark": "#0d9488",
    "button_cancel_background_fill": "#b91c1c",
    "button_cancel_background_fill_hover": "#991b1b",
    "button_cancel_background_fill_dark": "#b91c1c",
    "button_cancel_background_fill_hover_dark": "#dc2626",
    "button_cancel_text_color": "#ffffff",
    "button_cancel_text_color_dark": "#ffffff",
    "button_primary_text_color": "#ffffff",
    "button_primary_text_color_dark": "#ffffff",
}


def studio_theme() -> gr.themes.Base:
    """The app's theme."""
    theme = gr.themes.Base(
        primary_hue=colors.teal,
        secondary_hue=colors.teal,
        neutral_hue=colors.slate,
        radius_size=sizes.radius_md,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
        font=_FONT,
        font_mono=_MONO,
    )
    return theme.set(**_SURFACES, **_CONTROLS)


def studio_css() -> str:
    """The page's style sheet, with a CSS variable for every arm's colour."""
    colours = " ".join(f"--arm-{arm}: {colour};" for arm, colour in ARM_COLOURS.items())
    sheet = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return f":root {{ {colours} --heat-opacity: 0.6; }}\n{sheet}"
