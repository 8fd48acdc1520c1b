package dev.sequent.generate;

/** Why a continuation ends where it does. */
public enum FinishReason {
    /** It has as many tokens as were asked for. */
    LENGTH,
    /** Its last token is a stop token. */
    STOP_TOKEN,
    /** Its last token completed a stop text. */
    STOP_TEXT,
    /** The listener ended it. */
    LISTENER,
    /** The thread was interrupted; its interrupt flag stays set. */
    INTERRUPTED
}
