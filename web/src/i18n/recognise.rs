//! The words for patterns that are recognised, and for what shows them.

use super::Lang;

super::texts! {
    which: "Which pattern?", "どのパターン?";
    title: "What the trace shows", "トレースから読み取れるパターン";
    help: "Told from what the programs did up to the instant shown, not from any name. Each line leads to its event.",
        "名前ではなく、表示中の時点までにプログラムがしたことから判断しています。各行からそのイベントへ移動できます。";
    nothing: "Nothing yet: no pattern can be told from what has happened so far.", "まだ判断できません。これまでの出来事からはパターンを読み取れません。";
    found_at: "{} at {}", "{}({})";
    sidecar: "Sidecar", "サイドカー";
    ambassador: "Ambassador", "アンバサダー";
    adapter: "Adapter", "アダプター";
    election: "Leader election", "リーダー選出";
    queue: "Work queue", "ワークキュー";
    scatter: "Scatter and gather", "スキャッター・ギャザー";
    asked: "{} is asked from outside its pod, by {}.", "{} は Pod の外の {} からリクエストを受けています。";
    writes: "{} writes {}.", "{} が {} に書き込みます。";
    reads: "{} reads it: both have the volume {}.", "{} がそれを読みます。両者はボリューム {} を共有しています。";
    local: "{} talks to {} over localhost.", "{} は localhost で {} と通信します。";
    unasked: "Nobody outside the pod asks {}.", "{} は Pod の外からはリクエストを受けません。";
    local_only: "{} talks to {} over localhost and to nobody else ({} times).", "{} の通信相手は localhost の {} だけです({} 回)。";
    passes_on: "{} passes it on to {}.", "{} がそれを {} に取り次ぎます。";
    scrapes: "{} asks {} again and again: {}.", "{} が {} に繰り返し尋ねます:{}";
    asks_neighbour: "To answer, {} asks its neighbour {} over localhost.", "答えるために、{} は隣の {} に localhost で尋ねます。";
    own_form: "{} answers in its own form: {}", "{} は独自の形式で答えます:{}";
    other_form: "{} tells it in another form: {}", "{} はそれを別の形式で伝えます:{}";
    candidate: "{} wants the Lease {}.", "{} が Lease {} を取ろうとします。";
    refused: "{} is refused: {}.", "{} は拒まれます:{}";
    holds: "{} holds it.", "{} が保持します。";
    renews: "{} renews it.", "{} が更新します。";
    takes_over: "{} takes it over from {}.", "{} が {} から引き継ぎます。";
    puts: "{} puts work into {}.", "{} が {} に仕事を入れます。";
    takes: "{} gets this piece, and nobody else does.", "{} がこの仕事を受け取ります。ほかには渡りません。";
    takes_other: "{} gets another one.", "{} は別の仕事を受け取ります。";
    acks: "{} says that it is done, once.", "{} が完了を一度だけ知らせます。";
    one_ask: "{} asks {} once.", "{} が {} に 1 回だけ尋ねます。";
    scatters: "{} asks {} others before any of them has answered.", "{} は最初の応答が来る前に {} か所へ尋ねます。";
    straggler: "{} is the last to answer, after {}.", "最後に答えるのは {} で、{} かかっています。";
    gathers: "{} makes one answer of {}.", "{} は {} 件の応答を 1 つにまとめて答えます。";
}

/// The texts of a language.
pub fn of(lang: Lang) -> &'static Texts {
    match lang {
        Lang::En => &EN,
        Lang::Ja => &JA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_take_as_many_values() {
        for (name, en, ja) in ALL {
            assert!(!en.is_empty() && !ja.is_empty(), "{name}");
            assert_eq!(en.matches("{}").count(), ja.matches("{}").count(), "{name}");
        }
    }
}
