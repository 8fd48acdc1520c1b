/**
 * What attention remembers between tokens: {@link dev.sequent.transformer.cache.KvCache}.
 *
 * <p>Invariants: memory is allocated once, for the capacity that the caller asked for; a token too many is a
 * {@link dev.sequent.type.CapacityException} and changes nothing; rows may differ in length, and padding is never seen.
 *
 * {@snippet :
 * try (KvCache cache = new KvCache(new StateSpec(B, 1024, DType.F32, device), G, P)) {
 *     AttentionMask mask = cache.append(k, v, info);                       // k, v (B, T, G, P)
 *     Tensor y = Attention.apply(q, cache.keys(), cache.values(), mask, scale);
 * }
 * }
 *
 * <p>Does not belong here: recurrent states, which are {@link dev.sequent.mixer.RecurrentState}.
 */
package dev.sequent.transformer.cache;
