package dev.sequent.op;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PhiloxTest {
    /** The known answers that the authors publish with Random123 (kat_vectors, philox4x32 with 10 rounds). */
    @Test
    void publishedKnownAnswers() {
        assertThat(block(0, 0, 0, 0, 0, 0)).containsExactly(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
        assertThat(block(-1, -1, -1, -1, -1, -1)).containsExactly(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
        assertThat(block(0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344))
                .containsExactly(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1);
    }

    @Test
    void keyAndCounterAreSplitLowWordFirst() {
        int[] words = new int[Philox.WORDS];
        Philox.block(0x11111111_22222222L, 0x33333333_44444444L, words);
        assertThat(words).isEqualTo(block(0x22222222, 0x11111111, 0x44444444, 0x33333333, 0, 0));
    }

    @Test
    void uniformIsTheTop24BitsAndBelowOne() {
        assertThat(Philox.uniform(-1)).isEqualTo(0x0.ffffffp0f).isLessThan(1f);
        assertThat(Philox.uniform(255)).isZero();
        assertThat(Philox.uniform(256)).isEqualTo(0x1p-24f);
        assertThat(Philox.uniform(1 << 31)).isEqualTo(0.5f);
    }

    private static int[] block(int key0, int key1, int c0, int c1, int c2, int c3) {
        int[] words = new int[Philox.WORDS];
        Philox.block(key0, key1, c0, c1, c2, c3, words);
        return words;
    }
}
