//go:build !purego

#include "textflag.h"

// func markAVX2(dst *uint64, text *byte, words int, nibbles *[32]byte, wide uint64)
//
// A byte is in the set where the bits that its low and its high four bits look
// up have one in common; with wide all ones, also where it is not ASCII.
TEXT ·markAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ text+8(FP), SI
	MOVQ words+16(FP), CX
	MOVQ nibbles+24(FP), BX
	MOVQ wide+32(FP), R8
	VBROADCASTI128 (BX), Y0
	VBROADCASTI128 16(BX), Y1
	MOVL $0x0f0f0f0f, AX
	VMOVD AX, X2
	VPBROADCASTD X2, Y2
	VPXOR Y3, Y3, Y3

loop:
	VMOVDQU (SI), Y4
	VMOVDQU 32(SI), Y5
	VPAND Y2, Y4, Y6
	VPAND Y2, Y5, Y8
	VPSRLW $4, Y4, Y7
	VPSRLW $4, Y5, Y9
	VPSHUFB Y6, Y0, Y6
	VPSHUFB Y8, Y0, Y8
	VPAND Y2, Y7, Y7
	VPAND Y2, Y9, Y9
	VPSHUFB Y7, Y1, Y7
	VPSHUFB Y9, Y1, Y9
	VPAND Y6, Y7, Y6
	VPAND Y8, Y9, Y8
	VPCMPEQB Y3, Y6, Y6
	VPCMPEQB Y3, Y8, Y8
	VPMOVMSKB Y6, AX
	VPMOVMSKB Y8, DX
	VPMOVMSKB Y4, R9
	VPMOVMSKB Y5, R10
	SHLQ $32, DX
	SHLQ $32, R10
	ORQ DX, AX
	ORQ R10, R9
	NOTQ AX
	ANDQ R8, R9
	ORQ R9, AX
	MOVQ AX, (DI)
	ADDQ $64, SI
	ADDQ $8, DI
	DECQ CX
	JNZ loop
	VZEROUPPER
	RET
