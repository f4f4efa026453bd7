"""Every word the page says, in English and Japanese.

What is fixed stands on the page in both languages, and the browser's own language decides which is seen (`both`, and
language.js sets the document's language before anything is painted). Labels of Gradio's components go through its
i18n (`label`). Errors are one language: the visitor's, from the request (`say`).
"""

import html
from collections.abc import Iterable

import gradio as gr

LANGUAGES = ("en", "ja")

WORDS: dict[str, dict[str, str]] = {
    "title": {"en": "See what an image classifier looks at", "ja": "画像分類器がどこを見ているかを見る"},
    "subtitle": {
        "en": "An Attention Branch Network gives its answer and a map of its attention in one pass.",
        "ja": "Attention Branch Network は、答えと注意マップを一度の計算で出します。",
    },
    "knows_ten": {
        "en": "It knows these ten things and nothing else. Choose an example, or upload a picture of one.",
        "ja": "知っているのはこの10種類だけです。例を選ぶか、どれかの写真をアップロードしてください。",
    },
    "knows_some": {
        "en": "This model knows {count} things and nothing else:",
        "ja": "このモデルが知っているのは次の{count}種類だけです:",
    },
    "knows_more": {"en": "and {count} more", "ja": "ほか{count}種類"},
    "bundled_name": {"en": "bundled compact network", "ja": "同梱の小型ネットワーク"},
    "described": {
        "en": "{arch}{width}, {parameters} M parameters, on the {device}",
        "ja": "{arch}{width}、パラメータ {parameters} M、{device} で計算",
    },
    "described_vit": {
        "en": "Vision Transformer of {layers} layers, width {width}, {parameters} M parameters, on the {device}",
        "ja": "Vision Transformer({layers}層、幅{width})、パラメータ {parameters} M、{device} で計算",
    },
    "described_width": {"en": " of width {width}", "ja": "(幅{width})"},
    "verbatim": {"en": "{words}", "ja": "{words}"},
    "fetching": {
        "en": "Fetching {wanted}{share}. Meanwhile the {model} answers.",
        "ja": "{wanted} を取得しています{share}。それまでは {model} が答えます。",
    },
    "refused": {
        "en": "{wanted} is not in use: {reason}. The {model} answers instead.",
        "ja": "{wanted} は使われていません: {reason}。代わりに {model} が答えます。",
    },
    "examples": {"en": "Examples", "ja": "例"},
    "example_pictures": {"en": "Example pictures", "ja": "例の画像"},
    "one_of_each": {"en": "one of each", "ja": "各クラス1枚"},
    "drawn": {"en": "(drawn)", "ja": "(描画)"},
    "drawings_offline": {
        "en": "These are drawings: Imagenette is not at hand and downloads are off.",
        "ja": "これらは描いた絵です。Imagenette が手元になく、ダウンロードは無効です。",
    },
    "drawings_failed": {
        "en": "These are drawings: Imagenette's pictures could not be downloaded.",
        "ja": "これらは描いた絵です。Imagenette の画像をダウンロードできませんでした。",
    },
    "drawings_unreadable": {
        "en": "These are drawings: no picture in Imagenette's folder could be read.",
        "ja": "これらは描いた絵です。Imagenette のフォルダーの画像を読めませんでした。",
    },
    "drawings_meanwhile": {
        "en": "Downloading Imagenette's pictures{share}; drawings meanwhile.",
        "ja": "Imagenette の画像をダウンロードしています{share}。それまでは描いた絵を使います。",
    },
    "your_picture": {"en": "Your picture", "ja": "画像"},
    "view": {"en": "What the network is shown", "ja": "ネットワークに見せる範囲"},
    "view_whole": {"en": "Whole picture", "ja": "画像全体"},
    "view_model": {"en": "Centre crop", "ja": "中央を切り抜き"},
    "enlarge": {"en": "Enlarge small pictures", "ja": "小さい画像を拡大"},
    "perception": {"en": "Perception branch: the answer", "ja": "知覚ブランチ: 答え"},
    "attention": {"en": "Attention branch: its own opinion", "ja": "注意ブランチ: 独自の意見"},
    "about_map": {
        "en": "The colours are the network's <strong>attention map</strong>: what its perception branch is given to "
        "weigh the picture with, blue for little and red for much. It is one part of the computation, not a proof of "
        "why the network decided.",
        "ja": "色はネットワークの<strong>注意マップ</strong>です。知覚ブランチが画像を重み付けするために使うもので、"
        "青は弱く、赤は強いことを表します。計算の一部であり、判断の理由の証明ではありません。",
    },
    "stage_empty": {
        "en": "Upload a picture or choose an example: what the network looks at appears here.",
        "ja": "画像をアップロードするか例を選ぶと、ネットワークが見ている所がここに現れます。",
    },
    "seen_picture": {"en": "The picture as the network saw it", "ja": "ネットワークが見た画像"},
    "agrees": {"en": "attention branch agrees", "ja": "注意ブランチも同じ"},
    "disagrees": {"en": "attention branch says {label}", "ja": "注意ブランチは {label}"},
    "unfamiliar": {"en": "Probably none of these.", "ja": "おそらくどれでもありません。"},
    "unfamiliar_why": {
        "en": "The picture is unlike what the network was trained on; it can only answer with one of its own classes.",
        "ja": "ネットワークが学習した画像と似ていません。自分の知っているクラスでしか答えられません。",
    },
    "tasks": {
        "en": "Answers, task by task: a click shows its map",
        "ja": "タスクごとの答え(クリックでそのマップを表示)",
    },
    "tasks_answer": {
        "en": "{yes} of {count} answered with yes; the map is the one for {name}",
        "ja": "{count}件のうち{yes}件が「はい」。マップは {name} のもの",
    },
    "pad_about": {
        "en": "This network knows digits: draw one, large, in one go or several.",
        "ja": "このネットワークは数字を認識します。大きく描いてください。",
    },
    "pad_name": {"en": "Pad to draw a digit on", "ja": "数字を描く欄"},
    "pad_clear": {"en": "Clear", "ja": "消去"},
    "vit_layer": {"en": "Attention of", "ja": "アテンション"},
    "vit_layer_number": {"en": "layer {number}", "ja": "第{number}層"},
    "vit_head": {"en": "Head (of a single layer)", "ja": "ヘッド(1層を選んだとき)"},
    "vit_all_heads": {"en": "all, averaged", "ja": "すべての平均"},
    "sign": {"en": "Part of the map", "ja": "マップの部分"},
    "sign_positive": {"en": "for yes (positive)", "ja": "「はい」を支持(正)"},
    "sign_negative": {"en": "for no (negative)", "ja": "「いいえ」を支持(負)"},
    "sign_both": {"en": "both", "ja": "両方"},
    "knows_tasks": {
        "en": "This model answers {count} questions with yes or no:",
        "ja": "このモデルは次の{count}個の質問に「はい」か「いいえ」で答えます:",
    },
    "small_print": {
        "en": "{ms} ms · {name} · {description} · map of {rows} × {columns} places",
        "ja": "{ms} ms · {name} · {description} · マップ {rows} × {columns}",
    },
    "cannot_explain": {"en": "This cannot be explained", "ja": "説明できません"},
    "allowed": {
        "en": "Allowed are pictures such as JPEG, PNG, WebP, GIF, BMP and TIFF.",
        "ja": "使えるのは JPEG、PNG、WebP、GIF、BMP、TIFF などの画像です。",
    },
    "picture_gone": {
        "en": "The picture is gone; please upload it again.",
        "ja": "画像がもうありません。もう一度アップロードしてください。",
    },
    "tab_explain": {"en": "Explain", "ja": "説明"},
    "tab_compare": {"en": "Compare", "ja": "比較"},
    "tab_edit": {"en": "Edit", "ja": "編集"},
    "alpha": {"en": "Attention (alpha)", "ja": "注意の強さ (alpha)"},
    "save": {"en": "Save as PNG", "ja": "PNGで保存"},
    "colours": {"en": "Colours", "ja": "配色"},
    "colours_jet": {"en": "JET, as in the paper", "ja": "JET(論文と同じ)"},
    "colours_turbo": {"en": "Turbo", "ja": "Turbo"},
    "colours_viridis": {"en": "Viridis (uniform)", "ja": "Viridis(知覚的に均等)"},
    "colours_inferno": {"en": "Inferno (uniform)", "ja": "Inferno(知覚的に均等)"},
    "colours_cividis": {"en": "Cividis (uniform)", "ja": "Cividis(知覚的に均等)"},
    "stretch": {
        "en": "Stretch contrast: all colours on this map alone, no longer comparable",
        "ja": "コントラストを広げる(このマップだけに全色を使い、他と比較できなくなる)",
    },
    "share": {"en": "Share", "ja": "共有"},
    "share_about": {
        "en": "A link to what you see. Your own picture is kept for it {life}, under a random address and "
        "without its metadata. Nothing is kept unless you press Share.",
        "ja": "今見えているものへのリンクを作ります。ご自分の画像は、そのために{life}、推測できないアドレスで"
        "メタデータを除いて保存されます。押さなければ保存されません。",
    },
    "share_link": {
        "en": "Whoever has this link sees the picture, {life}:",
        "ja": "このリンクを知っている人は{life}この画像を見られます:",
    },
    "share_link_example": {"en": "The link:", "ja": "リンク:"},
    "share_nothing": {"en": "There is no picture to share yet.", "ja": "共有する画像がまだありません。"},
    "share_gone": {
        "en": "The picture of this link is gone. Pictures are kept {life}.",
        "ja": "このリンクの画像はもうありません。画像は{life}保存されます。",
    },
    "share_days": {"en": "for {days} days", "ja": " {days} 日間"},
    "share_restart": {
        "en": "until the Space restarts, {days} days at most",
        "ja": " Space が再起動するまで(最長 {days} 日間)",
    },
    "compare_about": {
        "en": "One picture, several ways to ask what mattered. They often disagree; the curves say which to believe: "
        "a good map makes the class appear early as its pixels come in (insertion), and vanish early as they go "
        "(deletion).",
        "ja": "同じ画像を、何が決め手になったかを調べるいくつかの方法で見ます。方法によって答えは異なります。"
        "どれを信じるべきかは曲線が示します。良いマップでは、その順に画素を加えるとクラスが早く現れ(挿入)、"
        "取り除くと早く消えます(削除)。",
    },
    "compare_empty": {
        "en": "Choose or upload a picture under Explain: the methods are compared on it here.",
        "ja": "「説明」で画像を選ぶかアップロードすると、ここで方法を比較できます。",
    },
    "compare_methods": {"en": "Methods", "ja": "方法"},
    "compare_target": {"en": "Class to explain", "ja": "説明するクラス"},
    "compare_predicted": {"en": "the predicted one", "ja": "予測されたクラス"},
    "compare_curves": {"en": "Insertion and deletion curves", "ja": "挿入・削除の曲線"},
    "compare_stop": {"en": "Stop", "ja": "停止"},
    "compare_stopped": {"en": "Stopped.", "ja": "停止しました。"},
    "compare_map_of": {"en": "{name} …", "ja": "{name} …"},
    "compare_curves_of": {"en": "Curves: {name} …", "ja": "曲線: {name} …"},
    "compare_map_named": {"en": "{name}", "ja": "{name}"},
    "compare_curves_named": {"en": "the curves of {name}", "ja": "{name} の曲線"},
    "compare_fewer": {
        "en": "{what} with {made} of its {all} masks, as many as the CPU manages in time",
        "ja": "{what} はマスク {all} 枚のうち {made} 枚で計算(CPU で間に合う枚数)",
    },
    "compare_too_long": {
        "en": "{what} left out: the CPU would need about {seconds} s; try again when a GPU can be had",
        "ja": "{what} は省略: CPU では約 {seconds} 秒かかります。GPU が使えるときにもう一度お試しください",
    },
    "unlent_quota": {
        "en": "answered on the CPU: today's GPU time is used up",
        "ja": "CPU で計算: 今日の GPU 利用時間を使い切りました",
    },
    "unlent_none_free": {
        "en": "answered on the CPU: no GPU is free at the moment",
        "ja": "CPU で計算: 今は空いている GPU がありません",
    },
    "unlent_failed": {
        "en": "answered on the CPU: the GPU could not be borrowed",
        "ja": "CPU で計算: GPU を借りられませんでした",
    },
    "left": {
        "en": "The page was left while waiting for a GPU.",
        "ja": "GPU を待つ間にページが閉じられました。",
    },
    "compare_done": {"en": "Explained class: {name}", "ja": "説明したクラス: {name}"},
    "compare_every_class": {"en": "the same for every class", "ja": "どのクラスでも同じ"},
    "compare_for_class": {"en": "for {name}", "ja": "{name} について"},
    "compare_insertion": {"en": "insertion", "ja": "挿入"},
    "compare_deletion": {"en": "deletion", "ja": "削除"},
    "compare_two": {"en": "Two of them, side by side", "ja": "二つを並べて見る"},
    "compare_left": {"en": "left of the line", "ja": "線の左"},
    "compare_right": {"en": "right of the line", "ja": "線の右"},
    "compare_line": {"en": "where the line is", "ja": "線の位置"},
    "method_attention": {"en": "Attention map", "ja": "注意マップ"},
    "method_attention-negative": {"en": "Attention map, negative", "ja": "注意マップ(負)"},
    "method_attention-both": {"en": "Attention map, both signs", "ja": "注意マップ(正負)"},
    "method_rollout": {"en": "Attention rollout", "ja": "アテンション・ロールアウト"},
    "method_last-layer": {"en": "Last layer's attention", "ja": "最終層のアテンション"},
    "method_gradient-rollout": {"en": "Rollout for the class", "ja": "クラスごとのロールアウト"},
    "method_attention-cam": {"en": "Attention branch's CAM", "ja": "注意ブランチのCAM"},
    "method_grad-cam": {"en": "Grad-CAM", "ja": "Grad-CAM"},
    "method_grad-cam++": {"en": "Grad-CAM++", "ja": "Grad-CAM++"},
    "method_layer-cam": {"en": "LayerCAM", "ja": "LayerCAM"},
    "method_eigen-cam": {"en": "EigenCAM", "ja": "EigenCAM"},
    "method_score-cam": {"en": "Score-CAM (slow)", "ja": "Score-CAM(低速)"},
    "method_occlusion": {"en": "Occlusion (slow)", "ja": "遮蔽(低速)"},
    "method_centre": {"en": "Centre blob (baseline)", "ja": "中央の塊(比較用)"},
    "method_uniform": {"en": "Uniform (baseline)", "ja": "一様(比較用)"},
    "tab_live": {"en": "Live", "ja": "ライブ"},
    "live_about": {
        "en": "Your camera, explained frame by frame while this tab is open. Frames are not kept.",
        "ja": "このタブを開いている間、カメラの映像を1枚ずつ説明します。映像は保存されません。",
    },
    "live_stopped": {"en": "The camera is off.", "ja": "カメラは止まっています。"},
    "live_asking": {"en": "Allow the camera to begin.", "ja": "カメラの使用を許可してください。"},
    "live_refused": {
        "en": "The browser does not let this page use the camera. Allow it in the address bar, then try again.",
        "ja": "カメラの使用が許可されていません。アドレスバーで許可してから、もう一度お試しください。",
    },
    "live_missing": {
        "en": "No camera was found, or another program holds it. On another machine than this one, browsers give the "
        "camera to https pages only.",
        "ja": "カメラが見つからないか、他のプログラムが使っています。別のマシンから開くときは https が必要です。",
    },
    "live_busy": {
        "en": "Many cameras are on; trying again …",
        "ja": "多くのカメラが使われています。もう一度試しています …",
    },
    "live_again": {"en": "Try again", "ja": "もう一度"},
    "live_rate": {"en": "frames/s", "ja": "枚/秒"},
    "tab_gallery": {"en": "Gallery", "ja": "ギャラリー"},
    "gallery_about": {
        "en": "Pictures that the network was not trained on, with its attention: what it is, and what the network "
        "says. A click opens one under Explain.",
        "ja": "学習に使っていない画像と、その注意です。上が正解、下がネットワークの答えです。"
        "クリックすると「説明」で開きます。",
    },
    "gallery_class": {"en": "Class", "ja": "クラス"},
    "gallery_all": {"en": "all", "ja": "すべて"},
    "gallery_order": {"en": "Show", "ja": "表示"},
    "gallery_as_is": {"en": "all", "ja": "すべて"},
    "gallery_wrong": {"en": "wrong ones", "ja": "誤り"},
    "gallery_most": {"en": "most confident first", "ja": "確信の高い順"},
    "gallery_least": {"en": "least confident first", "ja": "確信の低い順"},
    "gallery_progress": {"en": "Explaining: {done} of {count} …", "ja": "計算中: {done}/{count} …"},
    "gallery_done": {
        "en": "{shown} of {kept} shown; of all {count} pictures {right} are right.",
        "ja": "{kept}枚のうち{shown}枚を表示。全{count}枚のうち{right}枚が正解。",
    },
    "gallery_other": {
        "en": "{shown} of {kept} shown; this model knows none of their classes.",
        "ja": "{kept}枚のうち{shown}枚を表示。このモデルはどのクラスも知りません。",
    },
    "tab_model": {"en": "Model", "ja": "モデル"},
    "model_choose": {"en": "Model", "ja": "モデル"},
    "model_choose_info": {
        "en": "One of the list, or the id of any ABN on the Hugging Face Hub (owner/name, weights of 1 GB at most). "
        "The choice is yours alone.",
        "ja": "一覧から選ぶか、Hugging Face Hub の ABN の ID(owner/name、重みは1GBまで)を入力してください。"
        "この選択は他の人には影響しません。",
    },
    "model_use": {"en": "Use this model", "ja": "このモデルを使う"},
    "model_none_named": {"en": "Choose a model, or type its id.", "ja": "モデルを選ぶか、ID を入力してください。"},
    "model_bringing": {"en": "Loading {name} … {share} fetched", "ja": "{name} を読み込んでいます … {share} 取得済み"},
    "model_refused": {"en": "{reason}. {name} stays in use.", "ja": "{reason}。{name} を使い続けます。"},
    "model_in_use": {"en": "{name} answers now, in every tab.", "ja": "すべてのタブで {name} が答えます。"},
    "model_no_metrics": {
        "en": "This checkpoint brings no metrics.json: how good it is was not recorded.",
        "ja": "このチェックポイントには metrics.json がなく、性能は記録されていません。",
    },
    "model_measured": {
        "en": "Measured on {count} validation pictures of {dataset}",
        "ja": "{dataset} の検証画像{count}枚での測定",
    },
    "model_figures": {"en": "Measured", "ja": "測定"},
    "model_explanation": {"en": "How far the maps can be believed", "ja": "マップをどこまで信じられるか"},
    "model_per_class": {"en": "Accuracy by class", "ja": "クラスごとの正解率"},
    "model_matrix": {
        "en": "Confusion matrix: rows true, columns predicted",
        "ja": "混同行列(行: 正解、列: 予測)",
    },
    "figure_top1": {"en": "Top-1 accuracy", "ja": "Top-1 正解率"},
    "figure_top5": {"en": "Top-5 accuracy", "ja": "Top-5 正解率"},
    "figure_accuracy": {"en": "Mean accuracy over tasks", "ja": "全タスクの平均正解率"},
    "figure_attention_top1": {"en": "Attention branch alone, top-1", "ja": "注意ブランチ単独の Top-1"},
    "figure_attention_accuracy": {
        "en": "Attention branch alone, mean accuracy over tasks",
        "ja": "注意ブランチ単独の全タスクの平均正解率",
    },
    "figure_loss": {"en": "Loss of both branches", "ja": "両ブランチの損失"},
    "figure_ece": {"en": "Expected calibration error", "ja": "期待較正誤差 (ECE)"},
    "figure_pointing": {"en": "Pointing game", "ja": "ポインティングゲーム"},
    "figure_energy": {"en": "Energy in the box", "ja": "枠内のエネルギー"},
    "figure_strokes": {"en": "Share on the strokes", "ja": "線上の割合"},
    "figure_strokes_area": {"en": "The strokes' share of the picture", "ja": "画像に占める線の割合"},
    "figure_insertion": {"en": "Insertion", "ja": "挿入"},
    "figure_deletion": {"en": "Deletion", "ja": "削除"},
    "figure_difference": {"en": "Insertion − deletion", "ja": "挿入 − 削除"},
    "edit_about": {
        "en": "Paint on the map and see what the network makes of it: only the perception branch is asked again. "
        "It shows how the computation depends on the map; it does not make the answer truer.",
        "ja": "マップに描くと、知覚ブランチだけを計算し直した結果が見られます。"
        "計算がマップにどう依存するかを示すもので、答えが正しくなるわけではありません。",
    },
    "edit_empty": {
        "en": "Choose or upload a picture under Explain: its attention map can be edited here.",
        "ja": "「説明」で画像を選ぶかアップロードすると、その注意マップをここで編集できます。",
    },
    "edit_add": {"en": "Add", "ja": "強める"},
    "edit_erase": {"en": "Erase", "ja": "消す"},
    "edit_hide": {"en": "Hide", "ja": "隠す"},
    "edit_add_hint": {"en": "attention 1", "ja": "注意を1に"},
    "edit_erase_hint": {"en": "attention 0: not stressed, but still seen", "ja": "注意を0に(強調しないが見えている)"},
    "edit_hide_hint": {"en": "features taken away: not seen at all", "ja": "特徴を取り除く(まったく見えない)"},
    "edit_brush": {"en": "Brush", "ja": "ブラシ"},
    "edit_undo": {"en": "Undo", "ja": "元に戻す"},
    "edit_invert": {"en": "Invert", "ja": "反転"},
    "edit_clear": {"en": "Clear", "ja": "すべて消す"},
    "edit_reset": {"en": "Reset", "ja": "リセット"},
    "edit_canvas": {
        "en": "Attention map. Arrow keys move the brush, the space bar paints.",
        "ja": "注意マップ。矢印キーでブラシを動かし、スペースキーで描きます。",
    },
    "edit_before": {"en": "before", "ja": "編集前"},
    "edit_after": {"en": "after", "ja": "編集後"},
    "edit_unchanged": {"en": "as the model gave it", "ja": "モデルの出力のまま"},
    "edit_only_abn": {
        "en": "Only an Attention Branch Network has a map that its answer is computed from; a Vision Transformer has "
        "none to edit.",
        "ja": "編集できるのは、答えの計算に使われる注意マップを持つ Attention Branch Network だけです。"
        "Vision Transformer にはそのようなマップがありません。",
    },
    "edit_only_one": {
        "en": "Only a network with a single attention map can be edited; this one has a map for every task.",
        "ja": "編集できるのは注意マップが1つのネットワークだけです。このネットワークにはタスクごとにマップがあります。",
    },
    "edit_gone": {
        "en": "The picture is no longer held; choose it again under Explain.",
        "ja": "画像はもう保持されていません。「説明」で選び直してください。",
    },
}

PREFIX = "abn_"  # Gradio's front end translates any value that reads like a key, a choice's name included
I18N = gr.I18n(**{language: {PREFIX + key: words[language] for key, words in WORDS.items()} for language in LANGUAGES})


def label(key: str):
    """For a label of a Gradio component."""
    return I18N(PREFIX + key)


def both(key: str, **values: str | dict[str, str]) -> str:
    """HTML that reads in the browser's language. `values` fill the words' {fields}, one for both languages or one for
    each; they are escaped."""
    parts = []
    for language in LANGUAGES:
        spoken = {k: v[language] if isinstance(v, dict) else v for k, v in values.items()}
        words = WORDS[key][language].format(**{k: html.escape(str(v)) for k, v in spoken.items()})
        parts.append(f'<span class="abn-{language}" lang="{language}">{words}</span>')
    return "".join(parts)


def say(key: str, request: gr.Request | None, **values: str) -> str:
    """Plain words in the visitor's language, by the request's Accept-Language; English where there is none."""
    return WORDS[key][language_of(request)].format(**values)


def worded(prefix: str, names: Iterable[str], language: str) -> list[tuple[str, str]]:
    """Choices of a Gradio component: each name behind its words, PREFIX_NAME."""
    return [(WORDS[f"{prefix}_{name}"][language], name) for name in names]


def with_names(key: str, value: str, names: Iterable[str], language: str) -> list[tuple[str, str]]:
    """Choices: `value` behind its words, then names that stand for themselves, such as classes."""
    return [(WORDS[key][language], value), *((name, name) for name in names)]


def language_of(request: gr.Request | None) -> str:
    """ "en" or "ja", by the first choice of the request's Accept-Language."""
    wanted = (request.headers.get("accept-language") or "") if request is not None and request.headers else ""
    return "ja" if wanted.strip().lower().startswith("ja") else "en"
