package dev.sequent.generate;

import dev.sequent.io.TokenDecoder;
import java.util.Optional;
import java.util.Set;

/** Turns one row's tokens into text, up to a stop text. */
final class TextRow {
    private final int row;
    private final TokenDecoder decoder;
    private final Set<Integer> stop;
    private final StopTextFilter filter;
    private final TextListener listener;
    private final StringBuilder text = new StringBuilder();

    TextRow(int row, TokenDecoder decoder, Generator.Request request, TextListener listener) {
        this.row = row;
        this.decoder = decoder;
        this.stop = request.stop();
        this.filter = new StopTextFilter(request.stopTexts());
        this.listener = listener;
    }

    /** Adds a token; says why the row ends, if it does. */
    Optional<FinishReason> token(int id) {
        if (stop.contains(id)) {
            return Optional.empty();
        }
        boolean goOn = pass(filter.next(decoder.next(id)));
        if (filter.stopped()) {
            return Optional.of(FinishReason.STOP_TEXT);
        }
        return goOn ? Optional.empty() : Optional.of(FinishReason.LISTENER);
    }

    /** The text with what was still held back. */
    TextContinuation finish(Continuation continuation) {
        String rest = filter.next(decoder.finish()) + filter.finish();
        if (continuation.finish() == FinishReason.LISTENER) {
            text.append(rest);
        } else {
            pass(rest);
        }
        return new TextContinuation(text.toString(), continuation);
    }

    private boolean pass(String piece) {
        text.append(piece);
        return piece.isEmpty() || listener.text(row, piece);
    }
}
